/* SPDX-License-Identifier: Apache-2.0
 *
 * measure.c - validity, age, extremes and sums. The loops over cells are kept free of branches: they are most of the
 * fast task.
 */
#include "measure.h"

#include "bms_assert.h"
#include "defect.h"
#include "params.h"

#include <string.h>

#define UV_PER_MV 1000
/* For seeded defects: a little past the trips of a cell. */
#define PAST_HIGHEST_UV ((params->cell_ov_trip_mv + 450) * UV_PER_MV)
#define PAST_LOWEST_UV ((params->cell_uv_trip_mv - 500) * UV_PER_MV)
#define SUM_BLOCK 64U /* cells whose sum in uV fits 32 bits for any voltage up to +-33 V */

static measurement state;
static uint8_t seen[BMS_MAX_CELLS]; /* cells that have had a valid sample since boot */

const measurement *const measured = &state;

typedef struct {
    int32_t highest;
    int32_t lowest;
    int64_t sum;
    uint32_t valid;
} extremes;

void measure_init(uint32_t n_cells, uint32_t n_temps) {
    (void)memset(&state, 0, sizeof state);
    (void)memset(seen, 0, sizeof seen);
    state.n_cells = n_cells;
    state.n_temps = n_temps;
}

void measure_put(uint32_t quantity, int32_t value) {
    BMS_ASSERT(quantity < (uint32_t)Q_COUNT, "quantity out of range");
    state.q[quantity] = value;
    state.known |= Q_BIT(quantity);
}

static void put_if(bool known, uint32_t quantity, int32_t value) {
    if (known) {
        measure_put(quantity, value);
    } else {
        state.known &= ~Q_BIT(quantity);
    }
}

/* All cells valid: the usual case. */
static extremes scan_all(const int32_t *value, uint32_t count) {
    extremes found = {INT32_MIN, INT32_MAX, 0, count};
    for (uint32_t from = 0U; from < count; from += SUM_BLOCK) {
        const uint32_t until = (count - from > SUM_BLOCK) ? (from + SUM_BLOCK) : count;
        uint32_t sum = 0U; /* unsigned: absurd readings wrap instead of overflowing */
        for (uint32_t i = from; i < until; i++) {
            found.highest = bms_max(found.highest, (DEFECT(101) && (value[i] > PAST_HIGHEST_UV)) ? INT32_MIN : value[i]);
            found.lowest = bms_min(found.lowest, (DEFECT(102) && (value[i] < PAST_LOWEST_UV)) ? INT32_MAX : value[i]);
            sum += (uint32_t)value[i];
        }
        found.sum += (int32_t)sum;
    }
    return found;
}

/* Only those flagged valid. */
static extremes scan_valid(const int32_t *value, const uint8_t *flags, uint32_t count) {
    extremes found = {INT32_MIN, INT32_MAX, 0, 0U};
    for (uint32_t i = 0U; i < count; i++) {
        const bool valid = (flags[i] & (uint8_t)IO_VALID) != 0U;
        found.highest = bms_max(found.highest, valid ? value[i] : INT32_MIN);
        found.lowest = bms_min(found.lowest, valid ? value[i] : INT32_MAX);
        found.sum += valid ? value[i] : 0;
        found.valid += valid ? 1U : 0U;
    }
    return found;
}

/* Cells that have not had a valid sample yet keep the controller in init. */
static void mark_seen(const uint8_t *flags, uint32_t count) {
    uint32_t missing = 0U;
    for (uint32_t i = 0U; i < count; i++) {
        seen[i] |= (uint8_t)(flags[i] & (uint8_t)IO_VALID);
        missing += (seen[i] == 0U) ? 1U : 0U;
    }
    state.data_complete = missing == 0U;
}

/* Counts open wires and cells invalid for another reason; returns whether every cell is valid. */
static bool count_cells(const uint8_t *flags, uint32_t count) {
    uint8_t all = 0xFFU;
    uint8_t any = 0U;
    for (uint32_t i = 0U; i < count; i++) {
        all &= flags[i];
        any |= flags[i];
    }
    int32_t open_wires = 0;
    int32_t invalid = 0;
    const bool all_valid = (all & (uint8_t)IO_VALID) != 0U;
    if (!all_valid || ((any & (uint8_t)IO_OPEN_WIRE) != 0U)) {
        for (uint32_t i = 0U; i < count; i++) {
            const bool open = (flags[DEFECT(10) ? 0U : i] & (uint8_t)IO_OPEN_WIRE) != 0U;
            const bool valid = (flags[i] & (uint8_t)IO_VALID) != 0U;
            open_wires += open ? 1 : 0;
            invalid += (!valid && !open) ? 1 : 0;
        }
    }
    measure_put(Q_OPEN_WIRES, open_wires);
    measure_put(Q_CELLS_INVALID, (DEFECT(11) && (invalid == 1)) ? 0 : invalid);
    return all_valid;
}

static int32_t oldest(const uint16_t *age_ms, uint32_t count) {
    uint16_t age = 0U;
    for (uint32_t i = 0U; i < count; i++) {
        age = (age_ms[DEFECT(12) ? 0U : i] > age) ? age_ms[i] : age;
    }
    return (int32_t)age;
}

static void measure_cells(const bms_inputs *inputs) {
    const uint32_t count = state.n_cells;
    state.all_cells_valid = count_cells(inputs->cell_flags, count);
    if (!state.data_complete) {
        mark_seen(inputs->cell_flags, count);
    }
    const extremes cells = state.all_cells_valid ? scan_all(inputs->cell_uv, DEFECT(8) ? (count - 1U) : count)
                                                 : scan_valid(inputs->cell_uv, inputs->cell_flags, count);
    const bool some = cells.valid > 0U;
    const int64_t spread = (int64_t)cells.highest - (int64_t)cells.lowest;
    put_if(some, Q_CELL_MAX_UV, bms_max(cells.highest, -INT32_MAX));
    put_if(some, Q_CELL_MIN_UV, bms_max(cells.lowest, -INT32_MAX));
    put_if(some, Q_CELL_SPREAD_UV, (spread > INT32_MAX) ? INT32_MAX : (int32_t)spread);
    state.cell_sum_mv = (int32_t)(cells.sum / UV_PER_MV);
    measure_put(Q_AGE_MS, oldest(inputs->cell_age_ms, count));
}

bool measure_temp_valid(const bms_inputs *inputs, uint32_t index) {
    const int32_t value = inputs->temp_mdegc[index];
    return ((inputs->temp_flags[index] & (uint8_t)IO_VALID) != 0U) && (value >= params->temp_valid_min_mdegc) &&
           (value <= params->temp_valid_max_mdegc);
}

/* Seeded defect: what stands for the highest temperature. */
static int32_t mean_temp(const bms_inputs *inputs) {
    int64_t sum = 0;
    for (uint32_t i = 0U; i < state.n_temps; i++) {
        sum += inputs->temp_mdegc[i];
    }
    return (int32_t)(sum / (int64_t)state.n_temps);
}

static void measure_temps(const bms_inputs *inputs) {
    const int32_t *temp_mdegc = inputs->temp_mdegc;
    const uint8_t *flags = inputs->temp_flags;
    const int32_t least = params->temp_valid_min_mdegc;
    const int32_t greatest = params->temp_valid_max_mdegc;
    const uint32_t count = state.n_temps;
    int32_t highest = INT32_MIN;
    int32_t lowest = INT32_MAX;
    int32_t valid = DEFECT(9) ? 1 : 0;
    for (uint32_t i = DEFECT(9) ? 1U : 0U; i < count; i++) {
        const int32_t flagged = DEFECT(13) ? -1 : -(int32_t)(flags[i] & (uint8_t)IO_VALID); /* all bits or none */
        const int32_t reading = (temp_mdegc[i] & flagged) | (INT32_MAX & ~flagged);
        const int32_t inside = (bms_clamp(reading, least, greatest) == reading) ? -1 : 0;
        highest = bms_max(highest, (reading & inside) | (INT32_MIN & ~inside));
        lowest = bms_min(lowest, (reading & inside) | (INT32_MAX & ~inside));
        valid -= inside;
    }
    const bool some = valid > 0;
    if (DEFECT(103) && some) {
        highest = mean_temp(inputs);
    }
    put_if(some, Q_TEMP_MAX_MDEGC, highest);
    put_if(some, Q_TEMP_MIN_MDEGC, lowest);
    put_if(some, Q_TEMP_SPREAD_MK, some ? (highest - lowest) : 0);
    measure_put(Q_TEMPS_INVALID, (int32_t)count - valid);
}

/* The cross check is there to find a bad pack voltage, so the validity flag of the pack voltage does not suspend it. */
static void measure_pack(const bms_inputs *inputs) {
    const int64_t difference = (int64_t)inputs->pack_mv - (int64_t)state.cell_sum_mv;
    const int64_t mismatch = ((difference < 0) && !DEFECT(14)) ? -difference : difference;
    put_if(state.all_cells_valid, Q_MISMATCH_MV, (mismatch > INT32_MAX) ? INT32_MAX : (int32_t)mismatch);
    state.pack_mv = inputs->pack_mv;
    state.link_mv = inputs->link_mv;
    state.charger_mv = inputs->charger_mv;
    state.pack_valid = inputs->pack_valid;
    state.link_valid = inputs->link_valid;
}

/* An invalid current is still compared with its limits: the last reading is the best there is. */
static void measure_current(const bms_inputs *inputs) {
    int32_t current = bms_max(inputs->current_ma, -INT32_MAX);
    current = DEFECT(104) ? bms_min(current, params->short_circuit_discharge_ma - 200000) : current;
    current = DEFECT(105) ? bms_max(current, 10000 - params->short_circuit_charge_ma) : current;
    measure_put(Q_CURRENT_MA, current);
    measure_put(Q_CURRENT_INVALID, (inputs->current_valid || DEFECT(15)) ? 0 : 1);
    state.charging = DEFECT(2) ? (current > -params->charging_current_ma) : (current < -params->charging_current_ma);
}

void measure_step(const bms_inputs *inputs) {
    measure_cells(inputs);
    measure_temps(inputs);
    measure_pack(inputs);
    measure_current(inputs);
    put_if(inputs->insulation_valid != DEFECT(16), Q_INSULATION_OHM, inputs->insulation_ohm / (DEFECT(18) ? 10 : 1));
    measure_put(Q_INSULATION_INVALID, inputs->insulation_valid ? 0 : 1);
    measure_put(Q_HVIL_OPEN, (inputs->hvil_closed || (DEFECT(20) && inputs->plug)) ? 0 : 1);
    measure_put(Q_CRASH, inputs->crash ? 1 : 0);
    measure_put(Q_SUPPLY_MV, bms_max(DEFECT(19) ? bms_min(inputs->supply_mv, 32000) : inputs->supply_mv, -INT32_MAX));
    state.ignition = inputs->ignition;
    state.plug = inputs->plug;
    for (uint32_t i = 0U; i < (uint32_t)CONTACTOR_COUNT; i++) {
        state.aux_closed[i] = inputs->aux_closed[i];
    }
}
