/* SPDX-License-Identifier: Apache-2.0
 *
 * group.c - several strings in lock-step: each is a simulation of its own, with plant, firmware and faults. They share
 * the DC link (parallel.c) and the bus.
 *
 * The bus is one: whatever a string's controller or its rest bus sends is queued in the same moment on the bus of every
 * member, where it is arbitrated alike; each member sees it from its own controller, with the others as BH_NODE_PEER.
 * Faults on the wire itself (bit errors, a foreign node) act on the member they are planned for, as on its stub.
 *
 * A group has no state of its own between two runs: its checkpoint is those of its members.
 */
#include <stdio.h>

#include "parallel.h"
#include "sim.h"

typedef struct bh_group {
    bh_sim *const *members;
    int32_t n;
    volatile int32_t at; /* whose turn it is: a cut never returns */
} bh_group;

static int refuse(bh_sim *first, const char *why) {
    snprintf(first->error, sizeof first->error, "group of strings: %s", why);
    return BH_BAD_CONFIG;
}

int bh_group_join(bh_sim *const *members, int32_t n) {
    if (n < 1 || n > BH_MAX_STRINGS) {
        return n < 1 ? BH_BAD_CONFIG : refuse(members[0], "too many");
    }
    for (int32_t i = 1; i < n; i++) {
        if (members[i]->tick_ns != members[0]->tick_ns || members[i]->now_ns != members[0]->now_ns ||
            members[i]->buses.n != members[0]->buses.n) {
            return refuse(members[0], "ticks, times or numbers of buses differ");
        }
    }
    for (int32_t i = 0; i < n; i++) {
        bh_buses *buses = &members[i]->buses;
        buses->n_peers = 0;
        for (int32_t k = 0; k < n; k++) {
            if (k != i) {
                buses->peers[buses->n_peers++] = &members[k]->buses;
            }
        }
    }
    return BH_OK;
}

static void step_plants(const bh_group *group) {
    const bh_sim *first = group->members[0];
    bh_string strings[BH_MAX_STRINGS];
    for (int32_t i = 0; i < group->n; i++) {
        bh_sim *sim = group->members[i];
        strings[i] = (bh_string){sim->plant, &sim->controls, &sim->heard};
    }
    bh_parallel_step(strings, group->n, first->now_ns, first->dt_s);
}

/* One part of the tick for every member in turn; the calls of its firmware are guarded as its own. */
static int for_each(bh_group *group, int (*part)(bh_sim *sim)) {
    for (int32_t i = 0; i < group->n; i++) {
        bh_sim *sim = group->members[i];
        group->at = i;
        bh_guard_switch(&sim->guard, &sim->image);
        const int result = part(sim);
        if (result != BH_OK) {
            return result;
        }
    }
    return BH_OK;
}

static int run_group(void *context) {
    bh_group *group = context;
    const bh_sim *first = group->members[0];
    while (first->now_ns < first->until_ns) {
        for (int32_t i = 0; i < group->n; i++) {
            group->at = i;
            if (bh_trace_full(group->members[i])) {
                return BH_FULL;
            }
        }
        for (int32_t i = 0; i < group->n; i++) {
            bh_tick_begin(group->members[i]);
        }
        step_plants(group);
        int result = for_each(group, bh_tick_given);
        result = result == BH_OK ? for_each(group, bh_tick_end) : result;
        if (result != BH_OK) {
            return result;
        }
    }
    return BH_OK;
}

static void note_failure(const bh_group *group, int result) {
    bh_sim *culprit = group->members[group->at];
    if (result == BH_FIRMWARE_CRASH || result == BH_FIRMWARE_HANG) {
        bh_guard_text(&culprit->guard, result, culprit->error, sizeof culprit->error);
        culprit->error_address = culprit->guard.address;
    }
    for (int32_t i = 0; i < group->n && result != BH_FULL; i++) {
        group->members[i]->failed = result;
    }
}

int bh_group_run(bh_sim *const *members, int32_t n, uint64_t until_ns, bh_trace *const *traces, int32_t *culprit) {
    bh_group group = {members, n, 0};
    int32_t begun = 0;
    int result = BH_OK;
    while (begun < n && result == BH_OK) {
        group.at = begun;
        result = bh_run_begin(members[begun], until_ns, traces[begun]);
        begun += result == BH_OK;
    }
    if (result == BH_OK) {
        for (int32_t i = 0; i < n; i++) {
            members[i]->guard.inside = 0;
            members[i]->guard.stalled = 0;
            members[i]->guard.address = 0;
            members[i]->guard.fault_address = 0;
            members[i]->guard.signal = 0;
        }
        result = bh_guard_run(&members[0]->guard, &members[0]->image, run_group, &group);
        if (result != BH_OK) {
            note_failure(&group, result);
        }
    }
    for (int32_t i = 0; i < begun; i++) {
        bh_run_end(members[i]);
    }
    *culprit = group.at;
    return result;
}
