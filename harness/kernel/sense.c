/* SPDX-License-Identifier: Apache-2.0
 *
 * sense.c - samples the truth into the integers of fil.h and keeps the extremes for the trace.
 */
#include "sense.h"

#include <string.h>

enum { LONGEST_DELAY_US = 1000000, MOST_HISTORY = 127 };

#define UV_PER_V 1e6
#define MDEGC_PER_DEGC 1e3

/* ---- layout -------------------------------------------------------------------------------------------------- */

static size_t padded(size_t bytes) {
    return (bytes + 15) / 16 * 16;
}

static size_t block_bytes(size_t n_cells, size_t n_temps) {
    return padded(4 * n_cells) + padded(4 * n_temps) + padded(4 * BH_N_INPUTS) + padded(2 * n_cells) +
           padded(n_cells) + padded(n_temps) + padded(BH_N_INPUTS);
}

static void create_given(bh_arena *arena, bh_given *given, size_t n_cells, size_t n_temps) {
    uint8_t *at = bh_take(arena, block_bytes(n_cells, n_temps));
    if (at == NULL) {
        return;
    }
    given->block = at;
    given->cell_uv = (int32_t *)(void *)at;
    at += padded(4 * n_cells);
    given->temp_mdegc = (int32_t *)(void *)at;
    at += padded(4 * n_temps);
    given->input = (int32_t *)(void *)at;
    at += padded(4 * BH_N_INPUTS);
    given->cell_age_ms = (uint16_t *)(void *)at;
    at += padded(2 * n_cells);
    given->cell_flags = at;
    given->temp_flags = given->cell_flags + padded(n_cells);
    given->input_flags = given->temp_flags + padded(n_temps);
}

static void ideal_flags(const bh_sense *sense) {
    const bh_given *given = &sense->given;
    memset(given->cell_flags, FIL_VALID, (size_t)sense->n_cells);
    memset(given->temp_flags, FIL_VALID, (size_t)sense->n_temps);
    memset(given->input_flags, FIL_VALID, BH_N_INPUTS);
    memset(given->cell_age_ms, 0, (size_t)sense->n_cells * sizeof *given->cell_age_ms);
}

static int64_t history_depth(uint32_t tick_us) {
    const int64_t ticks = LONGEST_DELAY_US / (int64_t)tick_us;
    return 1 + (ticks < MOST_HISTORY ? ticks : MOST_HISTORY);
}

uint64_t bh_sense_history_ns(uint32_t tick_us) {
    return (uint64_t)(history_depth(tick_us) - 1) * tick_us * 1000U;
}

void bh_sense_create(bh_arena *arena, bh_sense *sense, const bh_config *config) {
    const size_t n_cells = (size_t)config->pack.n_cells;
    const size_t n_temps = (size_t)config->pack.n_temps;
    const size_t value_bytes = padded(4 * n_cells) + padded(4 * n_temps) + padded(4 * BH_N_INPUTS);
    int32_t *temp_cell = bh_take(arena, n_temps * sizeof *temp_cell);
    uint8_t *history = bh_take(arena, (size_t)history_depth(config->tick_us) * value_bytes);
    create_given(arena, &sense->given, n_cells, n_temps);
    create_given(arena, &sense->clean, n_cells, n_temps);
    create_given(arena, &sense->without, n_cells, n_temps);
    bh_frozen_create(arena, &sense->frozen, n_cells);
    bh_outside_create(arena, &sense->outside, n_cells, n_temps);
    if (arena->base == NULL) {
        return;
    }
    memcpy(temp_cell, config->pack.temp_cell, n_temps * sizeof *temp_cell);
    sense->temp_cell = temp_cell;
    sense->n_cells = config->pack.n_cells;
    sense->n_temps = config->pack.n_temps;
    sense->block_bytes = block_bytes(n_cells, n_temps);
    sense->value_bytes = value_bytes;
    sense->tick_ns = (uint64_t)config->tick_us * 1000U;
    sense->history = history;
    sense->history_depth = history_depth(config->tick_us);
    ideal_flags(sense);
    sense->inputs.cell_uv = sense->given.cell_uv;
    sense->inputs.cell_flags = sense->given.cell_flags;
    sense->inputs.cell_age_ms = sense->given.cell_age_ms;
    sense->inputs.temp_mdegc = sense->given.temp_mdegc;
    sense->inputs.temp_flags = sense->given.temp_flags;
}

/* ---- quantisation -------------------------------------------------------------------------------------------- */

/* To the nearest integer, ties to even: the sum with 1.5 * 2^52 has it in its low bits. No comparison, no library call:
 * loops over it become vector code with any flags. Beyond 32 bits it wraps. */
static inline int32_t nearest(double value) {
    const double shifted = value + 6755399441055744.0;
    int64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    return (int32_t)bits;
}

static int32_t quantise(double value, double per_unit) {
    const double scaled = value * per_unit;
    const double below = scaled < 2147483647.0 ? scaled : 2147483647.0;
    return nearest(below > -2147483647.0 ? below : -2147483647.0);
}

static int64_t sample_cells(int32_t *restrict cell_uv, const float *restrict cell_v, int32_t n) {
    int64_t sum = 0;
    for (int32_t i = 0; i < n; i++) {
        cell_uv[i] = nearest((double)cell_v[i] * UV_PER_V);
    }
    for (int32_t i = 0; i < n; i++) {
        sum += cell_uv[i];
    }
    return sum;
}

static void sample_temps(int32_t *restrict temp_mdegc, const float *restrict cell_degc,
                         const int32_t *restrict temp_cell, int32_t n) {
    for (int32_t i = 0; i < n; i++) {
        temp_mdegc[i] = nearest((double)cell_degc[temp_cell[i]] * MDEGC_PER_DEGC);
    }
}

static void sample_inputs(int32_t *input, const bh_truth *truth) {
    input[BH_INPUT_CURRENT_MA] = quantise(truth->pack_a, 1e3);
    input[BH_INPUT_PACK_MV] = quantise(truth->pack_v, 1e3);
    input[BH_INPUT_LINK_MV] = quantise(truth->link_v, 1e3);
    input[BH_INPUT_INSULATION_OHM] = quantise(truth->insulation_ohm, 1.0);
    input[BH_INPUT_AUX_POSITIVE] = (truth->aux & FIL_OUT_POSITIVE) != 0;
    input[BH_INPUT_AUX_NEGATIVE] = (truth->aux & FIL_OUT_NEGATIVE) != 0;
    input[BH_INPUT_AUX_PRECHARGE] = (truth->aux & FIL_OUT_PRECHARGE) != 0;
}

/* ---- extremes ------------------------------------------------------------------------------------------------ */

static int32_t index_of(const int32_t *values, const uint8_t *flags, int32_t n, int32_t wanted) {
    for (int32_t i = 0; i < n; i++) {
        if (values[i] == wanted && (flags[i] & FIL_VALID) != 0) {
            return i + 1;
        }
    }
    return 0;
}

/* Over the valid elements; all zero when there is none. Returns how many are invalid. */
static int32_t extremes_of(bh_extremes *extremes, const int32_t *restrict values, const uint8_t *restrict flags,
                           int32_t n, double per_unit) {
    int32_t max = INT32_MIN;
    int32_t min = INT32_MAX;
    int32_t n_valid = 0;
    for (int32_t i = 0; i < n; i++) {
        const int32_t mask = -(int32_t)(flags[i] & FIL_VALID); /* no branch: vector code */
        const int32_t high = (values[i] & mask) | (INT32_MIN & ~mask);
        const int32_t low = (values[i] & mask) | (INT32_MAX & ~mask);
        max = high > max ? high : max;
        min = low < min ? low : min;
        n_valid -= mask;
    }
    if (n_valid == 0) {
        *extremes = (bh_extremes){0.0f, 0.0f, 0, 0};
        return n;
    }
    extremes->max = (float)(max / per_unit);
    extremes->min = (float)(min / per_unit);
    extremes->max_index = index_of(values, flags, n, max);
    extremes->min_index = index_of(values, flags, n, min);
    return n - n_valid;
}

/* Nothing bent the samples: the extremes of the truth are theirs too, quantising keeps the order. */
static void ideal_extremes(bh_sense *sense, const bh_truth *truth) {
    sense->cells.max = (float)(nearest((double)truth->cell_v_max * UV_PER_V) / UV_PER_V);
    sense->cells.min = (float)(nearest((double)truth->cell_v_min * UV_PER_V) / UV_PER_V);
    sense->cells.max_index = truth->cell_v_max_index;
    sense->cells.min_index = truth->cell_v_min_index;
    sense->cells_invalid = 0;
    sense->cells_open_wire = 0;
    sense->cell_age_max_s = 0.0f;
}

static void faulted_extremes(bh_sense *sense) {
    const int32_t *restrict cell_uv = sense->given.cell_uv;
    const uint8_t *restrict flags = sense->given.cell_flags;
    const uint16_t *restrict cell_age_ms = sense->given.cell_age_ms;
    const int32_t n = sense->n_cells;
    int64_t sum = 0;
    int32_t open = 0;
    int32_t age_ms = 0;
    for (int32_t i = 0; i < n; i++) {
        sum += cell_uv[i] & -(int32_t)(flags[i] & FIL_VALID);
        open += flags[i] & FIL_OPEN_WIRE;
        age_ms = cell_age_ms[i] > age_ms ? cell_age_ms[i] : age_ms;
    }
    sense->cells_invalid = extremes_of(&sense->cells, cell_uv, flags, n, UV_PER_V);
    sense->cell_uv_sum = sum;
    sense->cells_open_wire = open / FIL_OPEN_WIRE;
    sense->cell_age_max_s = (float)age_ms / 1000.0f;
}

/* ---- one tick ------------------------------------------------------------------------------------------------ */

/* The controller's own clock: what it has gained or lost stays with it. */
static uint64_t clock_us(bh_sense *sense, double factor, uint64_t now_ns) {
    const double error = factor - 1.0;
    if (error < 0.0 || error > 0.0) {
        sense->clock_lead_us += error * (double)sense->tick_ns * 1e-3;
    }
    return (uint64_t)((int64_t)(now_ns / 1000) + (int64_t)sense->clock_lead_us) + sense->passed_us;
}

static void fill_inputs(bh_sense *sense, const bh_truth *truth, const bh_controls *controls, uint64_t now_ns) {
    fil_inputs *inputs = &sense->inputs;
    const int32_t *input = sense->given.input;
    const uint8_t *flags = sense->given.input_flags;
    inputs->now_us = clock_us(sense, truth->clock_factor, now_ns);
    inputs->current_ma = input[BH_INPUT_CURRENT_MA];
    inputs->pack_mv = input[BH_INPUT_PACK_MV];
    inputs->link_mv = input[BH_INPUT_LINK_MV];
    inputs->charger_mv = quantise(truth->charger_v, 1e3);
    inputs->insulation_ohm = input[BH_INPUT_INSULATION_OHM] > 0 ? (uint32_t)input[BH_INPUT_INSULATION_OHM] : 0;
    inputs->supply_mv = quantise(truth->supply_v, 1e3);
    inputs->digital_in = (controls->ignition ? FIL_IN_IGNITION : 0U) | (controls->plug ? FIL_IN_CHARGE_PLUG : 0U) |
                         (truth->hvil_closed ? FIL_IN_HVIL_CLOSED : 0U) | (truth->crash ? FIL_IN_CRASH : 0U) |
                         (input[BH_INPUT_AUX_POSITIVE] != 0 ? FIL_IN_AUX_POSITIVE : 0U) |
                         (input[BH_INPUT_AUX_NEGATIVE] != 0 ? FIL_IN_AUX_NEGATIVE : 0U) |
                         (input[BH_INPUT_AUX_PRECHARGE] != 0 ? FIL_IN_AUX_PRECHARGE : 0U);
    inputs->current_flags = flags[BH_INPUT_CURRENT_MA];
    inputs->pack_flags = flags[BH_INPUT_PACK_MV];
    inputs->link_flags = flags[BH_INPUT_LINK_MV];
    inputs->insulation_flags = flags[BH_INPUT_INSULATION_OHM];
}

/* Readings of the last ticks, for faults that delay them. */
static void keep_history(bh_sense *sense, int wanted) {
    if (!wanted) {
        sense->n_history = 0;
        return;
    }
    const int64_t slot = sense->n_history++ % sense->history_depth;
    memcpy(sense->history + (size_t)slot * sense->value_bytes, sense->given.block, sense->value_bytes);
}

void bh_sense_sample(bh_sense *sense, bh_faults *faults, const bh_truth *truth, const bh_controls *controls,
                     uint64_t now_ns, uint64_t tick) {
    bh_given *given = &sense->given;
    bh_active_update(faults, &faults->given, BH_AT_SENSE_CELL_V, BH_N_GIVEN_POINTS - 1, now_ns);
    if (sense->faulted) {
        ideal_flags(sense);
    }
    sense->faulted = faults->given.n > 0;
    sense->cell_uv_sum = sample_cells(given->cell_uv, truth->cell_v, sense->n_cells);
    sample_temps(given->temp_mdegc, truth->cell_degc, sense->temp_cell, sense->n_temps);
    sample_inputs(given->input, truth);
    keep_history(sense, faults->n_delays > 0);
    int bent = sense->faulted && bh_given_apply(sense, faults, now_ns, tick);
    if (sense->outside.given != 0) {
        bent |= bh_outside_readings(&sense->outside, given, sense->n_cells, sense->n_temps);
        sense->faulted = 1;
    }
    if (bent) {
        faulted_extremes(sense);
    } else {
        ideal_extremes(sense, truth);
    }
    sense->temps_invalid =
        extremes_of(&sense->temps, given->temp_mdegc, given->temp_flags, sense->n_temps, MDEGC_PER_DEGC);
    fill_inputs(sense, truth, controls, now_ns);
    if (bh_outside_any(&sense->outside)) {
        bh_outside_inputs(&sense->outside, &sense->inputs);
    }
    bh_frozen_step(&sense->frozen, &sense->inputs, sense->n_cells);
}
