/* SPDX-License-Identifier: Apache-2.0
 *
 * reading.c - what one fault does to the readings of one kind of sensor, or to the wires of the front end.
 */
#include <math.h>
#include <string.h>

#include "given.h"

enum {
    OPEN_WIRE_DRIFT_NS = 200000000,    /* until the floating wire has reached the lower neighbour */
    OPEN_WIRE_DIAGNOSIS_NS = 200000000 /* period of the front end's open-wire test */
};

/* Series resistor of the filter in every sense wire: 100 ohm in the data sheet's circuit of the LTC6811. */
#define FILTER_OHM 100.0

/* The inputs one point acts on. */
typedef struct bh_channel {
    int32_t *value;
    uint8_t *flags;   /* NULL: has none */
    uint16_t *age_ms; /* NULL: has none */
    double per_unit;
    int32_t n;
} bh_channel;

/* One fault at work in this tick. */
typedef struct bh_work {
    const bh_pass *pass;
    const bh_fault *fault;
    const bh_fault_state *state;
    const int32_t *past; /* of BH_OP_DELAY */
    bh_channel channel;
    double strength;
    uint64_t key;
} bh_work;

static bh_channel channel_of(const bh_sense *sense, const bh_given *given, int32_t point) {
    int32_t input = BH_INPUT_CURRENT_MA + point - BH_AT_SENSE_CURRENT_A;
    switch (point) {
    case BH_AT_SENSE_CELL_V:
    case BH_AT_SENSE_CELL_OPEN_WIRE:
    case BH_AT_SENSE_CELL_SWAP:
    case BH_AT_SENSE_WIRE_SWAP:
    case BH_AT_SENSE_WIRE_SHORT_OHM:
        return (bh_channel){given->cell_uv, given->cell_flags, given->cell_age_ms, 1e6, sense->n_cells};
    case BH_AT_SENSE_TEMP_DEGC:
    case BH_AT_SENSE_TEMP_SWAP:
        return (bh_channel){given->temp_mdegc, given->temp_flags, NULL, 1e3, sense->n_temps};
    case BH_AT_SENSE_AUX: return (bh_channel){&given->input[BH_INPUT_AUX_POSITIVE], NULL, NULL, 1.0, BH_N_CONTACTORS};
    default: break;
    }
    const double per_unit = point == BH_AT_SENSE_INSULATION_OHM ? 1.0 : 1e3;
    return (bh_channel){&given->input[input], &given->input_flags[input], NULL, per_unit, 1};
}

static int32_t rounded(double value) {
    const double low = value > -2147483647.0 ? value : -2147483647.0;
    return (int32_t)lrint(low < 2147483647.0 ? low : 2147483647.0);
}

static double since_s(const bh_work *work) {
    return (double)(work->pass->now_ns - work->state->since_ns) * 1e-9;
}

/* ---- one reading --------------------------------------------------------------------------------------------- */

static double spiked(const bh_work *work, int32_t found, int32_t i, double height) {
    const double draw = bh_fault_uniform(work->fault, work->pass->faults->seed, work->pass->tick, i);
    const double share = work->fault->probability;
    return draw < 0.5 * share ? found + height : draw < share ? found - height : found;
}

static int32_t delayed(const bh_work *work, int32_t found, int32_t i) {
    return work->past != NULL ? work->past[i] : found;
}

/* What the fault says in full. */
static double full_reading(const bh_work *work, int32_t found, int32_t i) {
    const double plain = bh_fault_value(work->fault, work->key, i);
    const double value = plain * work->channel.per_unit;
    switch (work->fault->op) {
    case BH_OP_SET: return value;
    case BH_OP_ADD: return found + value;
    case BH_OP_SCALE: return found * plain;
    case BH_OP_HOLD:
    case BH_OP_HOLD_FIRST:
    case BH_OP_STALE: return work->state->held[i];
    case BH_OP_NEGATE: return -(double)found;
    case BH_OP_DRIFT: return found + value * since_s(work);
    case BH_OP_SPIKE: return spiked(work, found, i, value);
    case BH_OP_DELAY: return delayed(work, found, i);
    case BH_OP_QUANTISE: return value > 0.0 ? nearbyint(found / value) * value : found;
    default: return found;
    }
}

/* An auxiliary contact knows two values; the opposite of 1 is 0. */
static int32_t switched(const bh_work *work, int32_t found, double full) {
    if (work->fault->op == BH_OP_NEGATE) {
        return found == 0;
    }
    return found + work->strength * (full - found) >= 0.5;
}

/* Returns 1 when the element differs from what it was. */
static int bend_one(const bh_work *work, int32_t i) {
    const bh_channel *channel = &work->channel;
    const int32_t found = channel->value[i];
    const double full = full_reading(work, found, i);
    channel->value[i] = work->fault->point == BH_AT_SENSE_AUX ? switched(work, found, full)
                                                               : rounded(found + work->strength * (full - found));
    int changed = channel->value[i] != found;
    if (work->fault->op == BH_OP_INVALID && channel->flags != NULL) {
        changed |= (channel->flags[i] & FIL_VALID) != 0;
        channel->flags[i] &= (uint8_t)~FIL_VALID;
    }
    if (work->fault->op == BH_OP_STALE && channel->age_ms != NULL) {
        const uint64_t age_ms = (work->pass->now_ns - work->state->since_ns) / 1000000;
        const uint16_t age = age_ms < UINT16_MAX ? (uint16_t)age_ms : UINT16_MAX;
        changed |= channel->age_ms[i] != age;
        channel->age_ms[i] = age;
    }
    return changed;
}

static int bend_readings(const bh_work *work) {
    const bh_fault *fault = work->fault;
    const int32_t first = fault->index < 0 ? 0 : fault->index;
    const int32_t end = fault->index < 0 ? work->channel.n : first + (fault->span > 1 ? fault->span : 1);
    int changed = 0;
    for (int32_t i = first; i < end; i++) {
        changed |= bend_one(work, i);
    }
    return changed;
}

/* ---- wires --------------------------------------------------------------------------------------------------- */

/* The wire between cell i and the one above it: the two readings divide their sum. Their common node drifts until the
 * lower cell reads 0; the next diagnosis of the front end finds it and takes both cells' validity. */
static int open_wire(const bh_work *work) {
    const int32_t i = work->fault->index;
    int32_t *value = work->channel.value;
    const uint64_t since_ns = work->pass->now_ns - work->state->since_ns;
    const double drift = since_ns < OPEN_WIRE_DRIFT_NS ? (double)since_ns / OPEN_WIRE_DRIFT_NS : 1.0;
    const int32_t moved = rounded(work->strength * drift * value[i]);
    value[i] -= moved;
    value[i + 1] += moved;
    if (since_ns < OPEN_WIRE_DIAGNOSIS_NS) {
        return moved != 0;
    }
    for (int32_t cell = i; cell <= i + 1; cell++) {
        work->channel.flags[cell] = (uint8_t)((work->channel.flags[cell] & ~FIL_VALID) | FIL_OPEN_WIRE);
    }
    return 1;
}

/* Move a reading towards another; returns 1 when it changed. */
static int shift(const bh_work *work, int32_t i, double full) {
    const int32_t found = work->channel.value[i];
    work->channel.value[i] = rounded(found + work->strength * (full - found));
    return work->channel.value[i] != found;
}

static int exchanged_readings(const bh_work *work) {
    const int32_t i = work->fault->index;
    const int32_t lower = work->channel.value[i];
    const int32_t upper = work->channel.value[i + 1];
    const int changed = shift(work, i, upper);
    return shift(work, i + 1, lower) | changed;
}

/* The cell between the two wires is measured backwards, both its neighbours with it in series. */
static int exchanged_wires(const bh_work *work) {
    const int32_t i = work->fault->index;
    const int32_t *value = work->channel.value;
    const double below = value[i];
    const double between = value[i + 1];
    const double above = value[i + 2];
    int changed = shift(work, i, below + between);
    changed |= shift(work, i + 1, -between);
    return shift(work, i + 2, between + above) | changed;
}

/* The filters of both wires and the short divide the cell's voltage; each neighbour reads half of what it loses. */
static int shorted_wires(const bh_work *work) {
    const int32_t i = work->fault->index;
    const int32_t *value = work->channel.value;
    const double ohm = bh_fault_value(work->fault, work->key, i);
    const double lost = value[i] * 2.0 * FILTER_OHM / ((ohm > 0.0 ? ohm : 0.0) + 2.0 * FILTER_OHM);
    int changed = i > 0 && shift(work, i - 1, value[i - 1] + 0.5 * lost);
    changed |= i + 1 < work->channel.n && shift(work, i + 1, value[i + 1] + 0.5 * lost);
    return shift(work, i, value[i] - lost) | changed;
}

static int bend_all(const bh_work *work) {
    switch (work->fault->point) {
    case BH_AT_SENSE_CELL_OPEN_WIRE: return open_wire(work);
    case BH_AT_SENSE_CELL_SWAP:
    case BH_AT_SENSE_TEMP_SWAP: return exchanged_readings(work);
    case BH_AT_SENSE_WIRE_SWAP: return exchanged_wires(work);
    case BH_AT_SENSE_WIRE_SHORT_OHM: return shorted_wires(work);
    default: return bend_readings(work);
    }
}

/* ---- one fault ----------------------------------------------------------------------------------------------- */

static void capture(const bh_pass *pass, const bh_fault *fault, bh_fault_state *state, bh_channel channel) {
    state->on = 1;
    state->since_ns = pass->now_ns;
    if (fault->op != BH_OP_HOLD_FIRST) {
        memcpy(state->held, channel.value, (size_t)channel.n * sizeof *channel.value);
    }
}

/* The readings of some time ago; the oldest that is kept when there is none as old. */
static const int32_t *past_of(const bh_pass *pass, bh_channel channel, double delay_s) {
    const bh_sense *sense = pass->sense;
    const double wanted = delay_s > 0.0 ? delay_s * 1e9 / (double)sense->tick_ns + 0.5 : 0.0;
    const int64_t oldest = (sense->n_history < sense->history_depth ? sense->n_history : sense->history_depth) - 1;
    if (oldest < 0) {
        return NULL;
    }
    const int64_t back = wanted < (double)oldest ? (int64_t)wanted : oldest;
    const int64_t slot = (sense->n_history - 1 - back) % sense->history_depth;
    const ptrdiff_t offset = (const uint8_t *)channel.value - pass->given->block;
    return (const int32_t *)(const void *)(sense->history + (size_t)slot * sense->value_bytes + offset);
}

int bh_reading_bend(const bh_pass *pass, int32_t index) {
    const bh_fault *fault = &pass->faults->plan[index];
    bh_fault_state *state = &pass->faults->state[index];
    bh_work work = {pass, fault, state, NULL, channel_of(pass->sense, pass->given, fault->point), 0.0, 0};
    work.strength = bh_fault_strength(fault, pass->now_ns);
    if (work.strength <= 0.0) {
        state->on = 0; /* the same in every pass of a tick */
        return 0;
    }
    if (pass->capture && !state->on) {
        capture(pass, fault, state, work.channel);
    }
    work.key = bh_fault_key(fault, pass->faults->seed, pass->tick);
    if (fault->op == BH_OP_DELAY) {
        work.past = past_of(pass, work.channel, bh_fault_value(fault, work.key, 0));
    }
    return bend_all(&work);
}

void bh_reading_remember(const bh_sense *sense, bh_faults *faults) {
    for (int32_t i = 0; i < faults->n; i++) {
        if (faults->plan[i].op == BH_OP_HOLD_FIRST && !faults->state[i].kept) {
            const bh_channel channel = channel_of(sense, &sense->given, faults->plan[i].point);
            memcpy(faults->state[i].held, channel.value, (size_t)channel.n * sizeof *channel.value);
        }
    }
}
