/* SPDX-License-Identifier: Apache-2.0
 *
 * parallel.c - the DC link that several strings share. The first plant has the capacitor, the bleed resistor and the load;
 * a string that is connected is a source behind its resistance. Its current may go round: in from one, out of another.
 */
#include <math.h>

#include "parallel.h"
#include "plant.h"

static const double SETTLED_S = 1.0; /* a string that has just joined may say less than it can for so long */
enum { MAX_PASSES = 8 };

/* One string in one step. */
typedef struct member {
    bh_plant *plant;
    bh_demand demand; /* what it alone would be asked for */
    bh_flow flow;
    int charging; /* direction of its current: which resistance it has */
} member;

/* Between the cells of a string and the link: 1/ohm, 0 while it is open. */
static double connection(const bh_plant *plant, int charging) {
    if (plant->pack.main_closed) {
        return 1.0 / plant->pack.source.r_ohm[charging ? BH_CHARGE : BH_DISCHARGE];
    }
    return bh_pack_precharging(plant) ? 1.0 / bh_pack_precharge_ohm(plant, plant->pack.link_v) : 0.0;
}

/* ---- demand -------------------------------------------------------------------------------------------------- */

/* Strings whose limits count: connected for a while, or all that are connected while none is. */
static int counts(const member *members, int32_t n, int32_t i) {
    int any = 0;
    for (int32_t k = 0; k < n; k++) {
        any |= members[k].plant->environment.joined_s >= SETTLED_S;
    }
    const bh_plant *plant = members[i].plant;
    return plant->pack.main_closed && (!any || plant->environment.joined_s >= SETTLED_S);
}

/* No string alone can be told what to carry: so many times the smallest limit. */
static void sum_limits(const member *members, int32_t n, bh_demand *all) {
    double least_in = HUGE_VAL;
    double least_out = HUGE_VAL;
    int32_t counted = 0;
    int ignored = 0;
    for (int32_t i = 0; i < n; i++) {
        const bh_demand *own = &members[i].demand;
        ignored |= isinf(own->discharge_limit_a);
        if (counts(members, n, i)) {
            least_in = fmin(least_in, own->charge_limit_a);
            least_out = fmin(least_out, own->discharge_limit_a);
            counted++;
        }
    }
    all->charge_limit_a = ignored ? HUGE_VAL : counted > 0 ? counted * least_in : 0.0;
    all->discharge_limit_a = ignored ? HUGE_VAL : counted > 0 ? counted * least_out : 0.0;
}

/* Whether a string lets the load run: ready, and not silent for so long that its limits count as zero. */
static int lets_run(const member *string) {
    const bh_plant *plant = string->plant;
    const bh_demand *own = &string->demand;
    return bh_environment_runs(plant, &plant->distortion) && (own->discharge_limit_a > 0.0 || own->charge_limit_a > 0.0);
}

/* One load for all: it runs when any string lets it, and what bends it on one string bends it. */
static double common_load(const member *members, int32_t n) {
    double traction_w = 0.0;
    double bent_w = NAN;
    int runs = 0;
    for (int32_t i = 0; i < n; i++) {
        const bh_plant *plant = members[i].plant;
        if (lets_run(&members[i])) {
            traction_w = runs ? traction_w : members[i].demand.traction_w;
            runs = 1;
        }
        bent_w = BH_PICK(plant->distortion.load_w, bent_w);
    }
    return runs ? BH_PICK(bent_w, traction_w) : 0.0;
}

static bh_demand common_demand(const member *members, int32_t n) {
    bh_demand all = {0};
    all.traction_w = common_load(members, n);
    sum_limits(members, n, &all);
    all.charger_v = HUGE_VAL;
    for (int32_t i = 0; i < n; i++) {
        const bh_demand *own = &members[i].demand;
        all.auxiliary_w = fmax(all.auxiliary_w, own->auxiliary_w);
        all.charger_a += own->charger_a;
        all.short_siemens += own->short_siemens;
        if (fabs(own->charger_a) > 0.0) {
            all.charger_v = fmin(all.charger_v, own->charger_v);
        }
    }
    all.charger_v = isinf(all.charger_v) ? members[0].demand.charger_v : all.charger_v;
    return all;
}

/* ---- currents ------------------------------------------------------------------------------------------------ */

typedef struct bh_sources {
    double siemens;
    double emf_v;
} bh_sources;

/* All that are connected as one source; which resistance a string has depends on the direction of its current. */
static bh_sources together(const member *members, int32_t n) {
    bh_sources all = {0.0, 0.0};
    for (int32_t i = 0; i < n; i++) {
        const double siemens = connection(members[i].plant, members[i].charging);
        all.siemens += siemens;
        all.emf_v += siemens * members[i].plant->pack.source.emf_v;
    }
    all.emf_v = all.siemens > 0.0 ? all.emf_v / all.siemens : members[0].plant->pack.source.emf_v;
    return all;
}

/* The current of each string into a link at this voltage. Returns whether a direction has changed. */
static int share(member *members, int32_t n, double link_v) {
    int changed = 0;
    for (int32_t i = 0; i < n; i++) {
        const bh_plant *plant = members[i].plant;
        const double current_a = (plant->pack.source.emf_v - link_v) * connection(plant, members[i].charging);
        const int charging = current_a < 0.0;
        changed |= charging != members[i].charging && plant->pack.main_closed;
        members[i].charging = charging;
        members[i].flow.pack_a = current_a;
    }
    return changed;
}

static bh_flow solve_held(member *members, int32_t n, const bh_demand *demand) {
    bh_flow all = {0};
    for (int pass = 0; pass < MAX_PASSES; pass++) {
        const bh_sources sources = together(members, n);
        all = bh_pack_solve(members[0].plant, demand, sources.emf_v, 1.0 / sources.siemens);
        if (!share(members, n, all.link_v)) {
            break;
        }
    }
    return all;
}

/* No main contactors closed anywhere: the mean voltage over the step gives the currents. */
static bh_flow solve_free(member *members, int32_t n, const bh_demand *demand) {
    const bh_sources sources = together(members, n);
    const bh_flow all = bh_pack_unsupported(members[0].plant, demand, sources.emf_v, sources.siemens);
    if (sources.siemens > 0.0) {
        (void)share(members, n, sources.emf_v - all.pack_a / sources.siemens);
    }
    return all;
}

static int begin(member *members, int32_t n, double dt_s) {
    int held = 0;
    for (int32_t i = 0; i < n; i++) {
        bh_plant *plant = members[i].plant;
        plant->pack.link_before_v = plant->pack.link_v;
        plant->environment.joined_s = plant->pack.main_closed ? plant->environment.joined_s + dt_s : 0.0;
        members[i].charging = plant->truth.pack_a < 0.0;
        members[i].flow = (bh_flow){0};
        held |= plant->pack.main_closed;
    }
    return held;
}

static void solve(member *members, int32_t n, double dt_s) {
    const int held = begin(members, n, dt_s);
    const bh_demand demand = common_demand(members, n);
    const bh_flow all = held ? solve_held(members, n, &demand) : solve_free(members, n, &demand);
    double chargers_a = 0.0;
    for (int32_t i = 0; i < n; i++) {
        chargers_a += members[i].demand.charger_a;
    }
    for (int32_t i = 0; i < n; i++) {
        bh_flow *flow = &members[i].flow;
        const bh_plant *plant = members[i].plant;
        flow->link_v = all.link_v;
        flow->load_w = all.load_w;
        flow->charger_a = fabs(chargers_a) > 0.0 ? all.charger_a * members[i].demand.charger_a / chargers_a : 0.0;
        flow->peak_a = plant->pack.main_closed ? bh_pack_peak(plant, flow->pack_a) : fabs(flow->pack_a);
    }
}

void bh_parallel_step(const bh_string *strings, int32_t n, uint64_t now_ns, double dt_s) {
    member members[BH_MAX_STRINGS];
    for (int32_t i = 0; i < n; i++) {
        const bh_string *string = &strings[i];
        members[i].plant = string->plant;
        members[i].demand = bh_plant_prepare(string->plant, string->controls, string->heard, now_ns, dt_s);
    }
    solve(members, n, dt_s);
    for (int32_t i = 0; i < n; i++) {
        bh_plant_finish(members[i].plant, strings[i].controls, &members[i].flow, dt_s);
    }
}
