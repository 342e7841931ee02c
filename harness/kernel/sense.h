/* SPDX-License-Identifier: Apache-2.0
 *
 * sense.h - what the controller is given: the truth in the units of fil.h, bent by faults on its sensors.
 */
#ifndef BH_SENSE_H
#define BH_SENSE_H

#include "faults.h"
#include "frozen.h"
#include "internal.h"
#include "outside.h"

/* Single inputs, kept as an array so that faults can treat them like the cells. */
enum {
    BH_INPUT_CURRENT_MA = 0,
    BH_INPUT_PACK_MV,
    BH_INPUT_LINK_MV,
    BH_INPUT_INSULATION_OHM,
    BH_INPUT_AUX_POSITIVE,
    BH_INPUT_AUX_NEGATIVE,
    BH_INPUT_AUX_PRECHARGE,
    BH_N_INPUTS
};

/* Everything faults on sensors can change, in one block that is copied and compared as a whole. */
typedef struct bh_given {
    uint8_t *block;
    int32_t *cell_uv;      /* [n_cells] */
    int32_t *temp_mdegc;   /* [n_temps] */
    int32_t *input;        /* [BH_N_INPUTS] */
    uint16_t *cell_age_ms; /* [n_cells] */
    uint8_t *cell_flags;   /* [n_cells] */
    uint8_t *temp_flags;   /* [n_temps] */
    uint8_t *input_flags;  /* [BH_N_INPUTS] */
} bh_given;

/* Extremes over what is valid, for the trace; indices from 1, 0 = none valid. */
typedef struct bh_extremes {
    float max;
    float min;
    int32_t max_index;
    int32_t min_index;
} bh_extremes;

typedef struct bh_sense {
    int32_t n_cells;
    int32_t n_temps;
    const int32_t *temp_cell; /* [n_temps] */
    size_t block_bytes;
    size_t value_bytes; /* of it: the readings, which come first */
    uint64_t tick_ns;
    uint8_t *history; /* [history_depth][value_bytes] readings before faults, while a fault delays one */
    int64_t history_depth;
    int64_t n_history; /* ticks kept since then */
    bh_given given;
    bh_given clean;   /* without faults; filled only while faults share an input */
    bh_given without; /* with some faults left out, to see what each of them does */
    fil_inputs inputs;
    uint8_t faulted; /* a fault or something outside has set flags and ages: they may differ from the ideal */
    bh_outside outside;
    bh_frozen frozen;
    double clock_lead_us;
    uint64_t passed_us; /* strides of long runs (soak.c) */ /* how far the controller's clock is ahead */
    int64_t cell_uv_sum;
    bh_extremes cells; /* V */
    bh_extremes temps; /* degC */
    int32_t cells_invalid;
    int32_t cells_open_wire;
    int32_t temps_invalid;
    float cell_age_max_s;
} bh_sense;

void bh_sense_create(bh_arena *arena, bh_sense *sense, const bh_config *config);

/* Sample everything at now_ns. */
void bh_sense_sample(bh_sense *sense, bh_faults *faults, const bh_truth *truth, const bh_controls *controls,
                     uint64_t now_ns, uint64_t tick);

/* Longest delay of a reading that can be kept. */
uint64_t bh_sense_history_ns(uint32_t tick_us);

/* reading.c: keep what is given now for the faults of a new plan that freeze a reading at it. */
void bh_reading_remember(const bh_sense *sense, bh_faults *faults);

/* given.c: put the active faults on what was sampled and note in reports which made a difference. Returns 1 when cells
 * read something else. */
int bh_given_apply(bh_sense *sense, bh_faults *faults, uint64_t now_ns, uint64_t tick);

#endif
