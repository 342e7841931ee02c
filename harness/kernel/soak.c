/* SPDX-License-Identifier: Apache-2.0
 *
 * soak.c - long runs. The loop of run.c goes on tick by tick, the firmware with it. Once a second it asks whether
 * anything is under way: a fault, an event, a load that changes, a reading near a limit or on the move, a contactor, a
 * timer in the firmware. If nothing is, a stride follows: the plant takes long steps, the firmware lets the time pass
 * (fil_pass), and what is planned comes nearer. The bus stands still meanwhile: for it, its messages and the trace a
 * stride takes no time, so that what is recorded has no gap and is judged like any other record.
 */
#include <math.h>

#include "sim.h"

enum { SECOND_MS = 1000, STEP_S = 5, NS_PER_MS = 1000000 };
#define NS_PER_SECOND 1000000000ULL
#define NO_TIME UINT64_MAX

/* How far each of what is noted may move in one stride: bands are wider than that by far. */
static const float MOST_CHANGE[BH_SOAK_SEEN] = {1e-3F, 0.1F, 5e-4F, 5e-4F, 0.02F, 0.1F};
static const int32_t SEEN[BH_SOAK_SEEN] = {BH_TRUTH_SOC_MEAN,           BH_GIVEN_PACK_CURRENT_A,
                                           BH_GIVEN_CELL_VOLTAGE_MAX_V, BH_GIVEN_CELL_VOLTAGE_MIN_V,
                                           BH_GIVEN_CELL_TEMP_MAX_DEGC, BH_GIVEN_PACK_VOLTAGE_V};

static uint64_t second_ticks(const bh_sim *sim) {
    return NS_PER_SECOND / sim->tick_ns;
}

static float last_value(const bh_trace *trace, int32_t column) {
    return trace->columns[column * trace->max_rows + trace->n_rows - 1];
}

/* ---- is anything under way? ------------------------------------------------------------------------------------ */

/* A fault that stands still in the plant is part of the plant: a leak, a lost capacity, a hot day. */
static int stands_still(const bh_fault *fault) {
    return fault->shape == BH_SHAPE_STEP && fault->point < BH_N_TRUTH_POINTS && fault->point != BH_AT_RESET_S &&
           fault->point != BH_AT_CLOCK_FACTOR && fault->point != BH_AT_CELL_HEAT_W &&
           !(fault->point >= BH_AT_NVM_BYTE && fault->point <= BH_AT_START_TICK_MS);
}

static uint64_t sooner(uint64_t one, uint64_t other) {
    return one < other ? one : other;
}

/* In the second before now: what it does may not have reached the firmware. Now itself is the begin of the next tick. */
static int just_been(uint64_t t_ns, uint64_t now_ns) {
    return t_ns <= now_ns && now_ns - t_ns < NS_PER_SECOND;
}

/* Time until something planned begins or ends, next to none when it has just done so; 0 = a fault acts that does not
 * stand still. */
static uint64_t until_planned(const bh_sim *sim) {
    const uint64_t now_ns = sim->now_ns;
    uint64_t next_ns = sim->next_event < sim->n_events ? sim->events[sim->next_event].t_ns : NO_TIME;
    if (sim->next_event > 0 && just_been(sim->events[sim->next_event - 1].t_ns, now_ns)) {
        return 1;
    }
    for (int32_t i = 0; i < sim->faults.n; i++) {
        const bh_fault *fault = &sim->faults.plan[i];
        if (just_been(fault->from_ns, now_ns) || just_been(fault->until_ns, now_ns)) {
            return 1;
        }
        if (now_ns < fault->from_ns) {
            next_ns = sooner(next_ns, fault->from_ns);
        } else if (now_ns < fault->until_ns) {
            if (!stands_still(fault)) {
                return 0;
            }
            next_ns = sooner(next_ns, fault->until_ns);
        }
    }
    return next_ns == NO_TIME ? NO_TIME : next_ns > now_ns ? next_ns - now_ns : 1;
}

static int bands_clear(const bh_soak *soak, const bh_trace *trace) {
    for (int32_t i = 0; i < soak->n_bands; i++) {
        const bh_band *band = &soak->bands[i];
        const float value = last_value(trace, band->column);
        if (!(value >= band->low && value <= band->high)) {
            return 0;
        }
    }
    return 1;
}

static int on_the_bus(const bh_sim *sim) {
    for (int32_t i = 0; i < sim->buses.n; i++) {
        if (sim->buses.dut_state[i] != FIL_CAN_ERROR_ACTIVE) {
            return 0;
        }
    }
    return 1;
}

/* How long a stride may be so that nothing moves further in it than allowed, going by the second before. */
static uint64_t calm_ms(const bh_soak *soak, const bh_trace *trace) {
    double longest_ms = soak->longest_ms > 0 ? soak->longest_ms : SECOND_MS;
    for (int32_t k = 0; k < BH_SOAK_SEEN; k++) {
        const double moved = fabs((double)last_value(trace, SEEN[k]) - (double)soak->before[k]);
        const double may_ms = moved > 0.0 ? SECOND_MS * (double)MOST_CHANGE[k] / moved : longest_ms;
        longest_ms = may_ms < longest_ms ? may_ms : longest_ms;
    }
    return (uint64_t)longest_ms;
}

static uint32_t firmware_idle(bh_sim *sim) {
    if (sim->firmware.idle == NULL || sim->firmware.pass == NULL) {
        return 0;
    }
    bh_guard_begin(&sim->guard);
    const uint32_t idle_ms = sim->firmware.idle();
    bh_guard_end(&sim->guard);
    return idle_ms;
}

/* Whole seconds that may pass at once; 0 with the reason. */
static uint64_t stride_ms(bh_sim *sim, bh_soak *soak, int32_t *reason) {
    const uint64_t planned_ns = until_planned(sim);
    const double steady_s = bh_environment_steady_s(sim->plant, &sim->heard);
    uint64_t ms = soak->left_ns / NS_PER_MS;
    *reason = BH_AWAKE_FAULT;
    if (planned_ns == 0) {
        return 0;
    }
    *reason = BH_AWAKE_PLAN;
    ms = sooner(ms, planned_ns / NS_PER_MS);
    ms = steady_s * SECOND_MS < (double)ms ? (uint64_t)(steady_s * SECOND_MS) : ms;
    if (ms <= SECOND_MS) {
        return 0;
    }
    *reason = BH_AWAKE_ACTUATORS;
    const int talks = sim->gbt.speaks && sim->controls.plug; /* its messages do not wait */
    if (!sim->powered || talks || !on_the_bus(sim) || !bh_plant_settled(sim->plant, &sim->heard, sim->outputs.contactors)) {
        return 0;
    }
    *reason = BH_AWAKE_BAND;
    if (!bands_clear(soak, sim->trace)) {
        return 0;
    }
    *reason = BH_AWAKE_CHANGE;
    ms = sooner(ms - SECOND_MS, calm_ms(soak, sim->trace));
    if (ms < SECOND_MS) {
        return 0;
    }
    *reason = BH_AWAKE_FIRMWARE;
    ms = sooner(ms, firmware_idle(sim));
    return ms / SECOND_MS * SECOND_MS;
}

/* ---- a stride -------------------------------------------------------------------------------------------------- */

static void note(bh_soak *soak, const bh_trace *trace) {
    for (int32_t k = 0; k < BH_SOAK_SEEN; k++) {
        soak->before[k] = last_value(trace, SEEN[k]);
    }
}

/* Everything planned comes nearer by the stride; the lists of active faults are made anew. */
static void bring_nearer(bh_sim *sim, uint64_t passed_ns) {
    for (int32_t i = sim->next_event; i < sim->n_events; i++) {
        sim->events[i].t_ns -= passed_ns;
    }
    for (int32_t i = 0; i < sim->faults.n; i++) {
        bh_fault *fault = &sim->faults.plan[i];
        const uint64_t now_ns = sim->now_ns;
        if (now_ns < fault->from_ns) {
            fault->from_ns -= passed_ns;
        }
        if (now_ns < fault->until_ns && fault->until_ns < UINT64_MAX / 2) {
            fault->until_ns -= passed_ns;
        }
    }
    sim->faults.truth.next_ns = 0;
    sim->faults.given.next_ns = 0;
}

static void advance_plant(bh_sim *sim, double length_s) {
    const int steps = (int)ceil(length_s / STEP_S);
    const double dt_s = length_s / steps;
    sim->controls.contactors = sim->outputs.contactors;
    sim->controls.balancing = sim->n_balancing > 0 ? sim->balancing : NULL;
    for (int i = 0; i < steps; i++) {
        bh_plant_stride(sim->plant, &sim->controls, &sim->heard, sim->now_ns, dt_s);
        if (sim->faults.truth.n > 0) {
            bh_faults_observe(&sim->faults, sim->plant, sim->now_ns, dt_s);
        }
    }
    bh_plant_end_stride(sim->plant, &sim->controls, sim->dt_s);
}

static int stride(bh_sim *sim, bh_soak *soak, uint64_t ms) {
    bh_stride *noted = &soak->strides[soak->n_strides++];
    noted->at_ns = sim->now_ns;
    noted->passed_ms = (uint32_t)ms;
    for (int32_t k = 0; k < BH_SOAK_SEEN; k++) {
        noted->seen[k] = last_value(sim->trace, SEEN[k]);
    }
    bh_guard_begin(&sim->guard);
    const int result = sim->firmware.pass((uint32_t)ms);
    bh_guard_end(&sim->guard);
    if (result < 0) {
        return bh_controller_fail(sim, "fil_pass", result);
    }
    bh_count_charge(sim, (double)ms / SECOND_MS);
    advance_plant(sim, (double)ms / SECOND_MS);
    bring_nearer(sim, ms * NS_PER_MS);
    sim->sense.passed_us += ms * SECOND_MS;
    sim->tick += ms * NS_PER_MS / sim->tick_ns; /* noise is numbered by ticks */
    soak->passed_ns += ms * NS_PER_MS;
    soak->left_ns -= ms * NS_PER_MS;
    soak->since_ticks = 0;
    return BH_OK;
}

/* ---- the loop -------------------------------------------------------------------------------------------------- */

/* Once a second: 1 = the call is to end here. */
static int look(bh_sim *sim, bh_soak *soak, int *result) {
    int32_t reason = BH_AWAKE_FIRMWARE;
    const uint64_t ms = stride_ms(sim, soak, &reason);
    soak->quiet = ms > 0;
    if (ms == 0) {
        soak->awake_s[reason]++;
        return 0;
    }
    if (soak->n_strides >= soak->max_strides || sim->trace->n_rows >= soak->enough_rows) {
        return 1;
    }
    if (soak->longest_ms == 0) { /* tick by tick all the way */
        return 0;
    }
    *result = stride(sim, soak, ms);
    return *result != BH_OK;
}

static int soak_ticks(void *context) {
    bh_sim *sim = context;
    bh_soak *soak = sim->soak;
    const uint64_t second = second_ticks(sim);
    while (soak->left_ns >= sim->tick_ns) {
        int result = BH_OK;
        if (soak->since_ticks >= second && soak->since_ticks % second == 0 && sim->trace->n_rows > 0 &&
            look(sim, soak, &result)) {
            return result;
        }
        if (sim->trace->n_rows >= sim->trace->max_rows ||
            sim->trace->n_frames + sim->frame_room > sim->trace->max_frames) {
            soak->quiet = 0;
            return BH_OK; /* judged as it is: what was under way goes on in the next call */
        }
        if (soak->since_ticks % second == 1 && sim->trace->n_rows > 0) { /* the first row after a stride, or a second before the next look */
            note(soak, sim->trace);
        }
        result = bh_run_tick(sim);
        if (result != BH_OK) {
            return result;
        }
        soak->since_ticks++;
        soak->left_ns -= sim->tick_ns;
    }
    return BH_OK;
}

int bh_soak_run(bh_sim *sim, bh_soak *soak, bh_trace *trace) {
    if (sim->failed != BH_OK) {
        return sim->failed;
    }
    if (NS_PER_SECOND % sim->tick_ns != 0 || trace->record_every != 1 || trace->n_rows != 0) {
        return bh_refuse_run(sim, "a long run needs a tick that divides a second, and an empty trace of every tick");
    }
    sim->trace = trace;
    sim->soak = soak;
    trace->n_summed = 0;
    const int result = bh_guarded(sim, soak_ticks);
    bh_record_extremes(trace);
    sim->trace = NULL;
    sim->soak = NULL;
    return result;
}
