/* SPDX-License-Identifier: Apache-2.0
 *
 * trace_types.h - what a run records: the columns of a row, and the buffers for rows and frames.
 */
#ifndef BH_TRACE_TYPES_H
#define BH_TRACE_TYPES_H

#include <stdint.h>

#include "fil.h"

/* Columns of the trace, float32, one row every record_every ticks. Indices count from 1, 0 = none. */
enum {
    BH_GIVEN_PACK_VOLTAGE_V = 0,
    BH_GIVEN_LINK_VOLTAGE_V,
    BH_GIVEN_CHARGER_VOLTAGE_V,
    BH_GIVEN_PACK_CURRENT_A,
    BH_GIVEN_CELL_VOLTAGE_MAX_V, /* over valid cells */
    BH_GIVEN_CELL_VOLTAGE_MIN_V,
    BH_GIVEN_CELL_VOLTAGE_SUM_V,
    BH_GIVEN_CELL_VOLTAGE_SPREAD_V,
    BH_GIVEN_CELL_VOLTAGE_MAX_INDEX,
    BH_GIVEN_CELL_VOLTAGE_MIN_INDEX,
    BH_GIVEN_CELL_TEMP_MAX_DEGC, /* over valid sensors */
    BH_GIVEN_CELL_TEMP_MIN_DEGC,
    BH_GIVEN_CELL_TEMP_MAX_INDEX,
    BH_GIVEN_CELL_TEMP_MIN_INDEX,
    BH_GIVEN_CELL_TEMP_SPREAD_K,
    BH_GIVEN_CELL_TEMP_RISE_K_PER_S, /* over the last 3 s of the record; NAN without temp_mdegc */
    BH_GIVEN_VOLTAGE_MISMATCH_V, /* cell sum and pack voltage; 0 unless all cells are valid */
    BH_GIVEN_LINK_OF_PACK_PCT,   /* 0 below 1 V of pack voltage */
    BH_GIVEN_CELLS_INVALID,
    BH_GIVEN_CELLS_OPEN_WIRE,
    BH_GIVEN_CELL_AGE_MAX_S,
    BH_GIVEN_TEMPS_INVALID,
    BH_GIVEN_CURRENT_VALID,
    BH_GIVEN_INSULATION_OHM,
    BH_GIVEN_SUPPLY_V,
    BH_GIVEN_DIGITAL_IN, /* FIL_IN_* bits */
    BH_GIVEN_CELL_FROZEN_A, /* range of the pack current since a valid cell voltage last changed, the widest */
    BH_GIVEN_PACK_VOLTAGE_FROZEN_A,
    BH_GIVEN_LINK_VOLTAGE_FROZEN_A,
    BH_GIVEN_CURRENT_FROZEN_V, /* range of the pack voltage since the current last changed */
    BH_GIVEN_CAN_STATE,        /* FIL_CAN_* of the controller on bus 0 */
    BH_GIVEN_NVM_DAMAGED,      /* 1 for the first second after a power-on with an image it had not written so */
    BH_GIVEN_SOC_COUNTED,      /* 0..1 and beyond: the mean at the very start, less the current it has been given since */
    BH_TRUTH_PACK_VOLTAGE_V,
    BH_TRUTH_LINK_VOLTAGE_V,
    BH_TRUTH_PACK_CURRENT_A,
    BH_TRUTH_CELL_VOLTAGE_MAX_V,
    BH_TRUTH_CELL_VOLTAGE_MIN_V,
    BH_TRUTH_CELL_VOLTAGE_MAX_INDEX,
    BH_TRUTH_CELL_VOLTAGE_MIN_INDEX,
    BH_TRUTH_CELL_TEMP_MAX_DEGC,
    BH_TRUTH_CELL_TEMP_MIN_DEGC,
    BH_TRUTH_CELL_TEMP_MAX_INDEX,
    BH_TRUTH_SOC_MEAN,
    BH_TRUTH_SOC_MIN,
    BH_TRUTH_SOC_MAX,
    BH_TRUTH_INSULATION_OHM,
    BH_TRUTH_LOAD_W,
    BH_TRUTH_LINE_VOLTAGE_V,
    BH_TRUTH_POLE_CONTACT,
    BH_TRUTH_CHARGER_CURRENT_A, /* positive = into the pack */
    BH_TRUTH_COOLANT_DEGC,
    BH_TRUTH_CONTACTORS, /* FIL_OUT_* bits: really closed */
    BH_TRUTH_FUSE_OPEN,
    BH_OUTPUT_CONTACTORS, /* FIL_OUT_* bits: commanded */
    BH_OUTPUT_DIGITAL,
    BH_OUTPUT_BALANCING, /* how many bleed resistors are on */
    BH_OUTPUT_POWERED,   /* 1 = the firmware was stepped in this tick */
    BH_OUTPUT_CAN_RESTART, /* 1 = it asked for a restart of its controller on bus 0 */
    BH_ENV_CHARGE_LIMIT_A,    /* as last received by vehicle and charger */
    BH_ENV_DISCHARGE_LIMIT_A,
    BH_ENV_BUS_LOAD,     /* 0..1 over the last 100 ms, bus 0 */
    BH_N_COLUMNS
};

/* Buffers owned by the caller. Per-cell buffers may be NULL: not recorded. Writing stops with BH_FULL, never past
 * the end. */
typedef struct bh_trace {
    int64_t max_rows;
    int64_t max_frames;
    int32_t record_every;
    int32_t frame_width;      /* bytes kept of a frame: 8 or 64 */
    uint64_t *row_ns;         /* [max_rows] */
    float *columns;           /* [BH_N_COLUMNS][max_rows] */
    float *column_least;      /* [BH_N_COLUMNS] over all rows, without NAN; NULL (all three): not kept */
    float *column_greatest;   /* [BH_N_COLUMNS] */
    int32_t *column_unknown;  /* [BH_N_COLUMNS] not 0 = there is a NAN among the rows */
    int32_t *cell_uv;         /* [max_rows][n_cells] given */
    uint8_t *cell_flags;      /* [max_rows][n_cells] given */
    int32_t *temp_mdegc;      /* [max_rows][n_temps] given */
    float *true_cell_v;       /* [max_rows][n_cells] truth */
    float *true_cell_degc;    /* [max_rows][n_cells] truth */
    uint64_t *frame_ns;       /* [max_frames] end of frame */
    uint32_t *frame_id;       /* [max_frames] */
    uint8_t *frame_flags;     /* [max_frames] FIL_FRAME_* */
    uint8_t *frame_bus;       /* [max_frames] */
    uint8_t *frame_node;      /* [max_frames] sender, BH_NODE_* */
    uint8_t *frame_length;    /* [max_frames] */
    uint8_t *frame_data;      /* [max_frames][frame_width], rest zero */
    int64_t n_rows;
    int64_t n_frames;
    int64_t n_summed; /* rows in the extremes of the columns; the kernel's own */
} bh_trace;

#endif
