/* SPDX-License-Identifier: Apache-2.0
 *
 * given.c - faults on what the controller is given, and which of them made a difference.
 *
 * A fault that is alone on its inputs fired when it changed them. Of several on the same inputs one fired when the
 * inputs would be others without it, or when it alone would have given the same inputs.
 */
#include <math.h>
#include <string.h>

#include "sense.h"

enum {
    OPEN_WIRE_DRIFT_NS = 200000000,    /* until the floating wire has reached the lower neighbour */
    OPEN_WIRE_DIAGNOSIS_NS = 200000000 /* period of the front end's open-wire test */
};

/* The inputs one point acts on. */
typedef struct bh_channel {
    int32_t *value;
    uint8_t *flags;   /* NULL: has none */
    uint16_t *age_ms; /* NULL: has none */
    double per_unit;
    int32_t n;
} bh_channel;

/* Which of the faults that share inputs with a chosen one take part in a pass. */
typedef enum bh_cast { CAST_ALL, CAST_WITHOUT, CAST_ALONE, CAST_NONE } bh_cast;

/* One pass over the active faults. */
typedef struct bh_pass {
    bh_faults *faults;
    const bh_given *given;
    int32_t n_cells;
    int32_t n_temps;
    uint64_t now_ns;
    uint64_t tick;
    bh_cast cast;
    int32_t chosen;  /* index into the plan */
    uint8_t capture; /* the real pass: states may change */
} bh_pass;

static bh_channel channel_of(const bh_pass *pass, int32_t point) {
    const bh_given *given = pass->given;
    switch (point) {
    case BH_AT_SENSE_CELL_V:
    case BH_AT_SENSE_CELL_OPEN_WIRE:
        return (bh_channel){given->cell_uv, given->cell_flags, given->cell_age_ms, 1e6, pass->n_cells};
    case BH_AT_SENSE_TEMP_DEGC:
        return (bh_channel){given->temp_mdegc, given->temp_flags, NULL, 1e3, pass->n_temps};
    case BH_AT_SENSE_INSULATION_OHM:
        return (bh_channel){&given->input[BH_INPUT_INSULATION_OHM], &given->input_flags[BH_INPUT_INSULATION_OHM],
                            NULL, 1.0, 1};
    case BH_AT_SENSE_AUX: return (bh_channel){&given->input[BH_INPUT_AUX_POSITIVE], NULL, NULL, 1.0, BH_N_CONTACTORS};
    default: break;
    }
    const int32_t input = BH_INPUT_CURRENT_MA + point - BH_AT_SENSE_CURRENT_A;
    return (bh_channel){&given->input[input], &given->input_flags[input], NULL, 1e3, 1};
}

static int32_t rounded(double value) {
    const double low = value > -2147483647.0 ? value : -2147483647.0;
    return (int32_t)lrint(low < 2147483647.0 ? low : 2147483647.0);
}

/* An auxiliary contact knows two values; the opposite of 1 is 0. */
static int32_t switched(const bh_fault *fault, int32_t found, double full, double strength) {
    if (fault->op == BH_OP_NEGATE) {
        return strength > 0.0 ? found == 0 : found;
    }
    return found + strength * (full - found) >= 0.5;
}

static int32_t bent(const bh_fault *fault, double value, int32_t found, int32_t held, double per_unit,
                    double strength) {
    double full = found;
    switch (fault->op) {
    case BH_OP_SET: full = value * per_unit; break;
    case BH_OP_ADD: full = found + value * per_unit; break;
    case BH_OP_SCALE: full = found * value; break;
    case BH_OP_HOLD:
    case BH_OP_STALE: full = held; break;
    case BH_OP_NEGATE: full = -(double)found; break;
    default: return found;
    }
    if (fault->point == BH_AT_SENSE_AUX) {
        return switched(fault, found, full, strength);
    }
    return rounded(found + strength * (full - found));
}

/* Returns 1 when the element differs from what it was. */
static int apply_one(const bh_fault *fault, const bh_fault_state *state, bh_channel channel, int32_t i,
                     double value, double strength, uint64_t now_ns) {
    const int32_t found = channel.value[i];
    channel.value[i] = bent(fault, value, found, state->held[i], channel.per_unit, strength);
    int changed = channel.value[i] != found;
    if (fault->op == BH_OP_INVALID && channel.flags != NULL) {
        changed |= (channel.flags[i] & FIL_VALID) != 0;
        channel.flags[i] &= (uint8_t)~FIL_VALID;
    }
    if (fault->op == BH_OP_STALE && channel.age_ms != NULL) {
        const uint64_t age_ms = (now_ns - state->since_ns) / 1000000;
        const uint16_t age = age_ms < UINT16_MAX ? (uint16_t)age_ms : UINT16_MAX;
        changed |= channel.age_ms[i] != age;
        channel.age_ms[i] = age;
    }
    return changed;
}

/* The wire between cell i and the one above it: the two readings divide their sum. Their common node drifts until the
 * lower cell reads 0; the next diagnosis of the front end finds it and takes both cells' validity. */
static int apply_open_wire(const bh_pass *pass, const bh_fault_state *state, bh_channel channel, int32_t i,
                           double strength) {
    const uint64_t since_ns = pass->now_ns - state->since_ns;
    const double drift = since_ns < OPEN_WIRE_DRIFT_NS ? (double)since_ns / OPEN_WIRE_DRIFT_NS : 1.0;
    const int32_t moved = rounded(strength * drift * channel.value[i]);
    channel.value[i] -= moved;
    channel.value[i + 1] += moved;
    if (since_ns < OPEN_WIRE_DIAGNOSIS_NS) {
        return moved != 0;
    }
    for (int32_t cell = i; cell <= i + 1; cell++) {
        channel.flags[cell] = (uint8_t)((channel.flags[cell] & ~FIL_VALID) | FIL_OPEN_WIRE);
    }
    return 1;
}

static void capture(const bh_pass *pass, bh_fault_state *state, bh_channel channel) {
    state->on = 1;
    state->since_ns = pass->now_ns;
    memcpy(state->held, channel.value, (size_t)channel.n * sizeof *channel.value);
}

/* Returns 1 when the fault changed an input. */
static int apply_fault(const bh_pass *pass, int32_t index) {
    const bh_fault *fault = &pass->faults->plan[index];
    bh_fault_state *state = &pass->faults->state[index];
    const double strength = bh_fault_strength(fault, pass->now_ns);
    const bh_channel channel = channel_of(pass, fault->point);
    if (strength <= 0.0) {
        state->on = 0; /* the same in every pass of a tick */
        return 0;
    }
    if (pass->capture && !state->on) {
        capture(pass, state, channel);
    }
    if (fault->point == BH_AT_SENSE_CELL_OPEN_WIRE) {
        return apply_open_wire(pass, state, channel, fault->index, strength);
    }
    const int32_t first = fault->index < 0 ? 0 : fault->index;
    const int32_t end = fault->index < 0 ? channel.n : first + 1;
    const uint64_t key = bh_fault_key(fault, pass->faults->seed, pass->tick);
    int changed = 0;
    for (int32_t i = first; i < end; i++) {
        changed |= apply_one(fault, state, channel, i, bh_fault_value(fault, key, i), strength, pass->now_ns);
    }
    return changed;
}

/* ---- all faults ---------------------------------------------------------------------------------------------- */

static int same_inputs(int32_t a, int32_t b) {
    const int a_cells = a == BH_AT_SENSE_CELL_V || a == BH_AT_SENSE_CELL_OPEN_WIRE;
    const int b_cells = b == BH_AT_SENSE_CELL_V || b == BH_AT_SENSE_CELL_OPEN_WIRE;
    return a == b || (a_cells && b_cells);
}

static int takes_part(const bh_pass *pass, int32_t i) {
    switch (pass->cast) {
    case CAST_WITHOUT: return i != pass->chosen;
    case CAST_ALONE:
        return i == pass->chosen || !same_inputs(pass->faults->plan[i].point, pass->faults->plan[pass->chosen].point);
    case CAST_NONE: return !same_inputs(pass->faults->plan[i].point, pass->faults->plan[pass->chosen].point);
    default: return 1;
    }
}

static void run_pass(const bh_pass *pass) {
    for (int32_t k = 0; k < pass->faults->given.n; k++) {
        const int32_t i = pass->faults->given.fault[k];
        if (takes_part(pass, i)) {
            const int changed = apply_fault(pass, i);
            if (pass->capture) {
                pass->faults->state[i].changed = (uint8_t)changed;
            }
        }
    }
}

/* Returns 1 when any two active faults share a kind of input. */
static int find_shared(bh_faults *faults) {
    int any = 0;
    for (int32_t k = 0; k < faults->given.n; k++) {
        const int32_t i = faults->given.fault[k];
        faults->state[i].shared = 0;
        for (int32_t other = 0; other < faults->given.n; other++) {
            const int32_t j = faults->given.fault[other];
            if (i != j && same_inputs(faults->plan[i].point, faults->plan[j].point)) {
                faults->state[i].shared = 1;
                any = 1;
            }
        }
    }
    return any;
}

/* Whether the inputs with another cast are the given ones. */
static int same_with(bh_sense *sense, const bh_pass *real, bh_cast cast, int32_t chosen) {
    bh_pass pass = *real;
    pass.given = &sense->without;
    pass.cast = cast;
    pass.chosen = chosen;
    pass.capture = 0;
    memcpy(sense->without.block, sense->clean.block, sense->block_bytes);
    run_pass(&pass);
    return memcmp(sense->without.block, sense->given.block, sense->block_bytes) == 0;
}

static void judge_shared(bh_sense *sense, const bh_pass *real) {
    for (int32_t k = 0; k < real->faults->given.n; k++) {
        const int32_t i = real->faults->given.fault[k];
        bh_fault_state *state = &real->faults->state[i];
        if (state->shared && state->on) {
            state->changed = !same_with(sense, real, CAST_WITHOUT, i) ||
                             (same_with(sense, real, CAST_ALONE, i) && !same_with(sense, real, CAST_NONE, i));
        }
    }
}

void bh_given_apply(bh_sense *sense, bh_faults *faults, uint64_t now_ns, uint64_t tick) {
    const bh_pass pass = {faults, &sense->given, sense->n_cells, sense->n_temps, now_ns, tick, CAST_ALL, -1, 1};
    const int shared = faults->given.n > 1 && find_shared(faults);
    if (shared) {
        memcpy(sense->clean.block, sense->given.block, sense->block_bytes);
    }
    run_pass(&pass);
    if (shared) {
        judge_shared(sense, &pass);
    }
    for (int32_t k = 0; k < faults->given.n; k++) {
        const int32_t i = faults->given.fault[k];
        faults->report[i].active_ticks += faults->state[i].on;
        if (faults->state[i].on && faults->state[i].changed) {
            bh_fault_fired(&faults->report[i], now_ns);
        }
    }
}
