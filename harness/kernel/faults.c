/* SPDX-License-Identifier: Apache-2.0
 *
 * faults.c - the table of planned faults: check, shapes over time, which are active, messages lost and late.
 */
#include "faults.h"
#include "sense.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_S 1e9

enum { MAX_CELL_V = 100 }; /* held cells must fit into the integers of fil.h */

/* ---- layout and plan ----------------------------------------------------------------------------------------- */

void bh_faults_create(bh_arena *arena, bh_faults *faults, const bh_config *config) {
    const size_t max = (size_t)config->max_faults;
    const int32_t n_held =
        config->pack.n_cells > config->pack.n_temps ? config->pack.n_cells : config->pack.n_temps;
    faults->plan = bh_take(arena, max * sizeof *faults->plan);
    faults->state = bh_take(arena, max * sizeof *faults->state);
    faults->report = bh_take(arena, max * sizeof *faults->report);
    faults->truth.fault = bh_take(arena, max * sizeof(int32_t));
    faults->given.fault = bh_take(arena, max * sizeof(int32_t));
    int32_t *held = bh_take(arena, max * (size_t)n_held * sizeof *held);
    if (arena->base == NULL) {
        return;
    }
    for (size_t i = 0; i < max; i++) {
        faults->state[i].held = held + i * (size_t)n_held;
    }
    faults->seed = config->seed;
    faults->max = config->max_faults;
    faults->n_held = n_held;
    faults->truth.next_ns = UINT64_MAX;
    faults->given.next_ns = UINT64_MAX;
    faults->ambient_degc = config->pack.ambient_degc;
    faults->insulation_positive_ohm = config->pack.insulation_positive_ohm;
    faults->insulation_negative_ohm = config->pack.insulation_negative_ohm;
    faults->precharge_ohm = config->pack.precharge_ohm;
    faults->supply_v = config->pack.supply_v;
    faults->history_ns = bh_sense_history_ns(config->tick_us);
    faults->n_cells = config->pack.n_cells;
    faults->n_temps = config->pack.n_temps;
    faults->n_messages = config->n_messages;
    faults->n_buses = config->bus.n_buses;
}

/* How many elements a point has, 0 = no such point. */
static int32_t elements_of(const bh_faults *faults, int32_t point) {
    switch (point) {
    case BH_AT_CELL_VOLTAGE:
    case BH_AT_CELL_LEAK_OHM:
    case BH_AT_CELL_RESISTANCE:
    case BH_AT_CELL_CAPACITY:
    case BH_AT_CELL_HEAT_W:
    case BH_AT_JOINT_OHM:
    case BH_AT_SENSE_WIRE_SHORT_OHM:
    case BH_AT_SENSE_CELL_V: return faults->n_cells;
    case BH_AT_SENSE_CELL_SWAP:
    case BH_AT_SENSE_CELL_OPEN_WIRE: return faults->n_cells - 1;
    case BH_AT_SENSE_WIRE_SWAP: return faults->n_cells - 2;
    case BH_AT_SENSE_TEMP_DEGC: return faults->n_temps;
    case BH_AT_SENSE_TEMP_SWAP: return faults->n_temps - 1;
    case BH_AT_CONTACTOR_WELDED:
    case BH_AT_CONTACTOR_STUCK_OPEN:
    case BH_AT_CONTACTOR_EXTRA_OPEN_S:
    case BH_AT_CONTACTOR_EXTRA_CLOSE_S:
    case BH_AT_CONTACTOR_BOUNCE_S:
    case BH_AT_SENSE_AUX: return BH_N_CONTACTORS;
    case BH_AT_MESSAGE_LOST:
    case BH_AT_MESSAGE_DELAY_S:
    case BH_AT_MESSAGE_COUNTER:
    case BH_AT_MESSAGE_CRC: return faults->n_messages;
    case BH_AT_GBT_SILENT:
    case BH_AT_GBT_LATE_S: return BH_N_GBT_SENT;
    case BH_AT_GBT_DEAF: return BH_N_GBT_HEARD;
    default: break;
    }
    const int scalar_truth = point >= 0 && point < BH_N_TRUTH_POINTS;
    const int scalar_given = point >= BH_AT_SENSE_CURRENT_A && point <= BH_AT_SENSE_INSULATION_OHM;
    const int of_frames = point >= BH_AT_FRAME_DROP && point <= BH_AT_NODE_TEC;
    return scalar_truth || scalar_given || of_frames || (point >= BH_AT_GBT_CML_MAX_V && point < BH_N_GBT_POINTS);
}

static int is_wiring(int32_t point) {
    return point == BH_AT_SENSE_CELL_OPEN_WIRE || (point >= BH_AT_SENSE_CELL_SWAP && point < BH_N_GIVEN_POINTS);
}

/* Which operations make sense where: a flag needs a sensor that has one, an age a front end. */
static int op_allowed(int32_t point, int32_t op) {
    if (point == BH_AT_MESSAGE_COUNTER || point == BH_AT_MESSAGE_CRC) {
        return op == BH_OP_SET || op == BH_OP_ADD || op == BH_OP_HOLD || op == BH_OP_RANDOM;
    }
    if (op < BH_OP_SET || op > BH_OP_QUANTISE) {
        return 0;
    }
    if (is_wiring(point) || point >= BH_AT_MESSAGE_LOST) {
        return op == BH_OP_SET;
    }
    if (op >= BH_OP_RANDOM) {
        return op != BH_OP_RANDOM && point >= BH_AT_SENSE_CELL_V && (point != BH_AT_SENSE_AUX || op == BH_OP_DELAY);
    }
    if (op == BH_OP_INVALID) {
        return point >= BH_AT_SENSE_CELL_V && point != BH_AT_SENSE_AUX;
    }
    if (op == BH_OP_STALE) {
        return point >= BH_AT_SENSE_CELL_V;
    }
    if (op == BH_OP_HOLD || op == BH_OP_NEGATE) {
        return point >= BH_AT_SENSE_CELL_V || (op == BH_OP_HOLD && point == BH_AT_CELL_VOLTAGE);
    }
    return 1;
}

static const char *problem_of_op(const bh_faults *faults, const bh_fault *fault) {
    switch (fault->op) {
    case BH_OP_DELAY:
        return fault->value >= 0 && fault->value * NS_PER_S <= (double)faults->history_ns
                   ? NULL
                   : "a delay must be >= 0 and not longer than readings are kept";
    case BH_OP_QUANTISE: return fault->value > 0 ? NULL : "a step must be > 0";
    case BH_OP_SPIKE:
        return fault->probability >= 0 && fault->probability <= 1 ? NULL : "the share of spikes must be 0..1";
    default: break;
    }
    if (fault->point == BH_AT_START_TICK_MS && !(fault->value >= 0 && fault->value < 4294967296.0)) {
        return "start_tick_ms must be 0 to 4294967295";
    }
    return NULL;
}

static const char *problem_of(const bh_faults *faults, const bh_fault *fault) {
    const int32_t n = elements_of(faults, fault->point);
    if (n == 0) {
        return "no such point";
    }
    if (fault->index < -1 || fault->index >= n) {
        return "index out of range (-1 = all)";
    }
    if (fault->span < 0 || (fault->span > 1 && (fault->index < 0 || fault->span > n - fault->index))) {
        return "span goes beyond the last element";
    }
    if (is_wiring(fault->point) && fault->index < 0) {
        return "a fault of the wiring needs an index";
    }
    if (!op_allowed(fault->point, fault->op)) {
        return "operation not possible at this point";
    }
    if (problem_of_op(faults, fault) != NULL) {
        return problem_of_op(faults, fault);
    }
    if (fault->shape < BH_SHAPE_STEP || fault->shape > BH_SHAPE_NOISE) {
        return "no such shape";
    }
    if (!isfinite(fault->value) || !isfinite(fault->sigma) || fault->sigma < 0) {
        return "value and sigma must be finite numbers, sigma >= 0";
    }
    if (fault->point == BH_AT_CELL_VOLTAGE && (fabs(fault->value) > MAX_CELL_V || fault->sigma > MAX_CELL_V)) {
        return "a cell has no such voltage";
    }
    if (fault->shape == BH_SHAPE_RAMP && !(fault->ramp_s > 0 && fault->ramp_s <= BH_FOREVER_S)) {
        return "ramp_s must be > 0";
    }
    if (fault->shape == BH_SHAPE_INTERMITTENT &&
        !(fault->period_s > 0 && fault->period_s <= BH_FOREVER_S && fault->duty >= 0 && fault->duty <= 1)) {
        return "period_s must be > 0 and duty 0..1";
    }
    if (fault->point == BH_AT_MESSAGE_DELAY_S && !(fault->value >= 0 && fault->value <= BH_FOREVER_S)) {
        return "a delay must be >= 0";
    }
    if (fault->until_ns <= fault->from_ns) {
        return "until_ns must be after from_ns";
    }
    return bh_frame_fault_problem(faults, fault);
}

static void reset_state(bh_fault_state *state) {
    int32_t *const held = state->held;
    memset(state, 0, sizeof *state);
    state->held = held;
}

/* Move row `from` of the table to `to`, and what is there the other way. */
static void exchange(bh_faults *faults, int32_t from, int32_t to) {
    const bh_fault fault = faults->plan[to];
    const bh_fault_state state = faults->state[to];
    const bh_fault_report report = faults->report[to];
    faults->plan[to] = faults->plan[from];
    faults->state[to] = faults->state[from];
    faults->report[to] = faults->report[from];
    faults->plan[from] = fault;
    faults->state[from] = state;
    faults->report[from] = report;
}

/* Rows of the new plan that are in the table already to their new place, marked. */
static void keep_rows(bh_faults *faults, const bh_fault *plan, int32_t n) {
    for (int32_t i = 0; i < n; i++) {
        for (int32_t old = 0; old < faults->n; old++) {
            if (!faults->state[old].kept && memcmp(&faults->plan[old], &plan[i], sizeof *plan) == 0) {
                exchange(faults, old, i);
                faults->state[i].kept = 1;
                break;
            }
        }
    }
}

int bh_faults_plan(bh_faults *faults, const bh_fault *plan, int32_t n, int keep, char *error, size_t size) {
    if (n < 0 || n > faults->max) {
        snprintf(error, size, "%d faults planned, room for %d (max_faults)", n, faults->max);
        return -1;
    }
    for (int32_t i = 0; i < n; i++) {
        const char *problem = problem_of(faults, &plan[i]);
        if (problem != NULL) {
            snprintf(error, size, "fault %d of the plan (point %d, index %d, op %d): %s", i, plan[i].point,
                     plan[i].index, plan[i].op, problem);
            return -1;
        }
    }
    for (int32_t i = 0; i < faults->max; i++) {
        faults->state[i].kept = 0;
    }
    if (keep) {
        keep_rows(faults, plan, n);
    }
    faults->n = n;
    faults->n_message_faults = 0;
    faults->n_protection_faults = 0;
    faults->n_gbt_faults = 0;
    faults->n_delays = 0;
    for (int32_t i = 0; i < n; i++) {
        faults->plan[i] = plan[i];
        faults->n_message_faults += plan[i].point == BH_AT_MESSAGE_LOST || plan[i].point == BH_AT_MESSAGE_DELAY_S;
        faults->n_protection_faults +=
            plan[i].point == BH_AT_MESSAGE_COUNTER || plan[i].point == BH_AT_MESSAGE_CRC;
        faults->n_gbt_faults += plan[i].point >= BH_AT_GBT_SILENT;
        faults->n_delays += plan[i].op == BH_OP_DELAY;
        if (!faults->state[i].kept) {
            reset_state(&faults->state[i]);
            faults->report[i] = (bh_fault_report){UINT64_MAX, 0, 0, 0};
        }
    }
    faults->truth.n = 0;
    faults->truth.next_ns = n > 0 || faults->bent ? 0 : UINT64_MAX;
    faults->given.n = 0;
    faults->given.next_ns = n > 0 ? 0 : UINT64_MAX;
    return 0;
}

/* ---- shapes -------------------------------------------------------------------------------------------------- */

double bh_fault_strength(const bh_fault *fault, uint64_t t_ns) {
    if (t_ns < fault->from_ns || t_ns >= fault->until_ns) {
        return 0.0;
    }
    const double since_s = (double)(t_ns - fault->from_ns) / NS_PER_S;
    if (fault->shape == BH_SHAPE_RAMP) {
        return since_s < fault->ramp_s ? since_s / fault->ramp_s : 1.0;
    }
    if (fault->shape == BH_SHAPE_INTERMITTENT) {
        const uint64_t period_ns = (uint64_t)llrint(fault->period_s * NS_PER_S);
        const uint64_t on_ns = (uint64_t)llrint(fault->duty * fault->period_s * NS_PER_S);
        return period_ns == 0 || (t_ns - fault->from_ns) % period_ns < on_ns ? 1.0 : 0.0;
    }
    return 1.0;
}

/* splitmix64 (Steele, Lea, Flood 2014): a bijective mix, so that neighbouring keys give unrelated numbers. */
static uint64_t mix(uint64_t key) {
    key += 0x9E3779B97F4A7C15ULL;
    key = (key ^ key >> 30) * 0xBF58476D1CE4E5B9ULL;
    key = (key ^ key >> 27) * 0x94D049BB133111EBULL;
    return key ^ key >> 31;
}

static int64_t four_uniform(uint64_t bits) {
    return (int64_t)((bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + (bits >> 48));
}

/* A standard normal number: the sum of twelve uniform ones, so that no platform's libm has a say. */
static double normal(uint64_t key) {
    const int64_t sum = four_uniform(mix(key)) + four_uniform(mix(key + 1)) + four_uniform(mix(key + 2));
    return ((double)sum + 6.0) / 65536.0 - 6.0; /* each in (0, 1), half a step up: mean 6, variance 1 */
}

double bh_fault_uniform(const bh_fault *fault, uint64_t seed, uint64_t tick, int32_t element) {
    const uint64_t bits = mix(mix(mix(seed ^ fault->seed << 1) + tick) + (uint64_t)(uint32_t)element);
    return (double)(bits >> 11) * 0x1p-53;
}

uint64_t bh_fault_key(const bh_fault *fault, uint64_t seed, uint64_t tick) {
    return fault->shape == BH_SHAPE_NOISE ? mix(mix(seed ^ fault->seed << 1) + tick) : 0;
}

double bh_fault_value(const bh_fault *fault, uint64_t key, int32_t element) {
    if (fault->shape != BH_SHAPE_NOISE) {
        return fault->value;
    }
    return fault->value + fault->sigma * normal(key + 3 * (uint64_t)(uint32_t)element);
}

/* ---- which are active ---------------------------------------------------------------------------------------- */

int bh_active_update(bh_faults *faults, bh_active *active, int32_t first_point, int32_t last_point, uint64_t t_ns) {
    if (t_ns < active->next_ns) {
        return 0;
    }
    active->n = 0;
    active->next_ns = UINT64_MAX;
    for (int32_t i = 0; i < faults->n; i++) {
        const bh_fault *fault = &faults->plan[i];
        if (fault->point < first_point || fault->point > last_point) {
            continue;
        }
        if (t_ns >= fault->from_ns && t_ns < fault->until_ns) {
            active->fault[active->n++] = i;
            active->next_ns = fault->until_ns < active->next_ns ? fault->until_ns : active->next_ns;
        } else {
            faults->state[i].on = 0;
            if (t_ns < fault->from_ns && fault->from_ns < active->next_ns) {
                active->next_ns = fault->from_ns;
            }
        }
    }
    return 1;
}

void bh_fault_fired(bh_fault_report *report, uint64_t t_ns) {
    report->first_fired_ns = report->first_fired_ns == UINT64_MAX ? t_ns : report->first_fired_ns;
    report->last_fired_ns = t_ns;
    report->fired_ticks++;
}

/* ---- messages and frames, one by one ---------------------------------------------------------------------------- */

uint64_t bh_fault_draw(const bh_faults *faults, int32_t i, uint32_t n) {
    const uint64_t key = mix(faults->seed ^ faults->plan[i].seed << 1) + faults->state[i].seen;
    return mix(mix(key) + n);
}

int bh_fault_touches(bh_faults *faults, int32_t i, uint64_t t_ns) {
    const bh_fault *fault = &faults->plan[i];
    bh_fault_state *state = &faults->state[i];
    if (bh_fault_strength(fault, t_ns) <= 0.0) {
        return 0;
    }
    faults->report[i].active_ticks++;
    state->seen++;
    if ((fault->count != 0 && state->touched >= fault->count) ||
        (fault->every > 1 && state->seen % fault->every != 0)) {
        return 0;
    }
    return (double)(bh_fault_draw(faults, i, 0) >> 11) < fault->probability * 9007199254740992.0;
}

void bh_fault_touched(bh_faults *faults, int32_t i, uint64_t t_ns) {
    faults->state[i].touched++;
    bh_fault_fired(&faults->report[i], t_ns);
}

/* ---- messages ------------------------------------------------------------------------------------------------ */

/* How strongly a fault acts on a message now; counts it. */
static double acts_on(bh_faults *faults, int32_t i, int32_t point, int32_t message, uint64_t due_ns) {
    const bh_fault *fault = &faults->plan[i];
    if (fault->point != point || (fault->index >= 0 && fault->index != message)) {
        return 0.0;
    }
    const double strength = bh_fault_strength(fault, due_ns);
    faults->report[i].active_ticks += strength > 0.0;
    return strength;
}

bh_fate bh_faults_message(bh_faults *faults, int32_t message, uint64_t due_ns) {
    bh_fate fate = {0, 0};
    if (faults->n_message_faults == 0) {
        return fate;
    }
    for (int32_t i = 0; i < faults->n; i++) {
        if (acts_on(faults, i, BH_AT_MESSAGE_LOST, message, due_ns) > 0.0) {
            fate.lost = 1;
            bh_fault_fired(&faults->report[i], due_ns);
        }
    }
    for (int32_t i = 0; i < faults->n; i++) {
        const double strength = acts_on(faults, i, BH_AT_MESSAGE_DELAY_S, message, due_ns);
        const uint64_t key = bh_fault_key(&faults->plan[i], faults->seed, due_ns);
        const double delay_s = strength * bh_fault_value(&faults->plan[i], key, message);
        if (strength > 0.0 && delay_s > 0.0 && !fate.lost) {
            fate.delay_ns += (uint64_t)llrint(delay_s * NS_PER_S);
            bh_fault_fired(&faults->report[i], due_ns);
        }
    }
    return fate;
}
