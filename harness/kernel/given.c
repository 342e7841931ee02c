/* SPDX-License-Identifier: Apache-2.0
 *
 * given.c - faults on what the controller is given, and which of them made a difference.
 *
 * A fault that is alone on its inputs fired when it changed them. Of several on the same inputs one fired when the
 * inputs would be others without it, or when it alone would have given the same inputs.
 */
#include <string.h>

#include "given.h"

/* The point that stands for all that act on the same inputs. */
static int32_t inputs_of(int32_t point) {
    switch (point) {
    case BH_AT_SENSE_CELL_OPEN_WIRE:
    case BH_AT_SENSE_CELL_SWAP:
    case BH_AT_SENSE_WIRE_SWAP:
    case BH_AT_SENSE_WIRE_SHORT_OHM: return BH_AT_SENSE_CELL_V;
    case BH_AT_SENSE_TEMP_SWAP: return BH_AT_SENSE_TEMP_DEGC;
    default: return point;
    }
}

static int same_inputs(int32_t a, int32_t b) {
    return inputs_of(a) == inputs_of(b);
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
            const int changed = bh_reading_bend(pass, i);
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

static int cells_are_bent(const bh_faults *faults) {
    for (int32_t k = 0; k < faults->given.n; k++) {
        const int32_t i = faults->given.fault[k];
        if (faults->state[i].changed && inputs_of(faults->plan[i].point) == BH_AT_SENSE_CELL_V) {
            return 1;
        }
    }
    return 0;
}

int bh_given_apply(bh_sense *sense, bh_faults *faults, uint64_t now_ns, uint64_t tick) {
    const bh_pass pass = {faults, sense, &sense->given, now_ns, tick, CAST_ALL, -1, 1};
    const int shared = faults->given.n > 1 && find_shared(faults);
    if (shared) {
        memcpy(sense->clean.block, sense->given.block, sense->block_bytes);
    }
    run_pass(&pass);
    const int cells_bent = cells_are_bent(faults);
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
    return cells_bent;
}
