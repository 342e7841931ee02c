/* SPDX-License-Identifier: Apache-2.0
 *
 * measure.h - validity, age, extremes and sums of what the front end delivers; the quantities protections look at.
 */
#ifndef MEASURE_H
#define MEASURE_H

#include "bms_io.h"

/* One signed number each. A quantity that cannot be known now has its bit in `known` cleared. */
enum {
    Q_CELL_MAX_UV = 0,
    Q_CELL_MIN_UV,
    Q_CELL_SPREAD_UV,
    Q_TEMP_MAX_MDEGC,
    Q_TEMP_MIN_MDEGC,
    Q_TEMP_SPREAD_MK,
    Q_CURRENT_MA,
    Q_OPEN_WIRES,
    Q_MISMATCH_MV,
    Q_AGE_MS,
    Q_CELLS_INVALID, /* without those whose wire is open */
    Q_TEMPS_INVALID,
    Q_CURRENT_INVALID,
    Q_INSULATION_OHM,
    Q_INSULATION_INVALID,
    Q_HVIL_OPEN,
    Q_CRASH,
    Q_SUPPLY_MV,
    Q_VEHICLE_AGE_MS,
    Q_CHARGER_AGE_MS,
    Q_CONTACTOR_POSITIVE, /* 1 closed though commanded open, -1 open though commanded closed */
    Q_CONTACTOR_NEGATIVE,
    Q_CONTACTOR_PRECHARGE,
    Q_RUNAWAY_HOT,
    Q_RUNAWAY_DROP,
    Q_SOC_PERMILLE,
    Q_INTERNAL,
    Q_CELL_FROZEN_MA, /* range of the current while the most suspect cell voltage stood still */
    Q_PACK_FROZEN_MA, /* the same for the pack voltage */
    Q_LINK_FROZEN_MA,
    Q_CURRENT_FROZEN_MV, /* range of the pack voltage while the current stood still */
    Q_CAN_OFF,           /* 1 = the CAN controller is bus-off */
    Q_LINE_MV,           /* at the poles */
    Q_POLE_FEED_MV,      /* the same while the poles are off the line */
    Q_LINE_DEAD,         /* 1 = the poles are on a line without voltage */
    Q_LINE_AGE_MS,
    Q_CONTACT_LOSSES, /* within a while */
    Q_STRING_GAP_MV,     /* between pack and link, while it is to join other strings */
    Q_STRING_DEVIATION_MA, /* between its current and the mean of all strings, when that lasts */
    Q_COUNT
};

_Static_assert(Q_COUNT <= 64, "one bit per quantity");

#define Q_BIT(id) ((uint64_t)1U << (uint32_t)(id))

typedef struct {
    int32_t q[Q_COUNT];
    uint64_t known; /* Q_BIT mask */
    uint32_t n_cells;
    uint32_t n_temps;
    int32_t cell_sum_mv; /* over valid cells */
    int32_t pack_mv;
    int32_t link_mv;
    int32_t charger_mv;
    bool pack_valid;
    bool link_valid;
    bool all_cells_valid;
    bool data_complete; /* every cell has had a valid sample since boot */
    bool charging;      /* current says so */
    bool ignition;
    bool plug;
    bool aux_closed[CONTACTOR_COUNT];
} measurement;

/* Read-only for everybody else. */
extern const measurement *const measured;

void measure_init(uint32_t n_cells, uint32_t n_temps);

/* Every 10 ms, before anything looks at `measured`. */
void measure_step(const bms_inputs *inputs);

/* Hand in what another module derives. */
void measure_put(uint32_t quantity, int32_t value);

/* Whether sensor `index` reads a usable value: flagged valid and inside its electrical range. */
bool measure_temp_valid(const bms_inputs *inputs, uint32_t index);

#endif
