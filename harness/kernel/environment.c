/* SPDX-License-Identifier: Apache-2.0
 *
 * environment.c - what hangs on the link: the vehicle that follows a power profile and the depot charger. Both follow
 * the limits the controller sends, with a lag, and stop when its messages stop.
 */
#include <math.h>
#include <string.h>

#include "plant.h"

static const double SETTLED_A = 1e-6; /* a limit closer to its target has arrived */

void bh_environment_create(bh_plant *plant, bh_arena *arena, const bh_config *config) {
    const size_t bytes = (size_t)config->environment.n_load * sizeof(double);
    double *load_s = bh_take(arena, bytes);
    double *load_w = bh_take(arena, bytes);
    const size_t line_bytes = config->environment.line_v != NULL ? bytes : 0;
    double *line_v = bh_take(arena, line_bytes);
    double *line_w = bh_take(arena, line_bytes);
    if (plant == NULL) {
        return;
    }
    if (bytes > 0) {
        memcpy(load_s, config->environment.load_s, bytes);
        memcpy(load_w, config->environment.load_w, bytes);
    }
    if (line_bytes > 0) {
        memcpy(line_v, config->environment.line_v, line_bytes);
        memcpy(line_w, config->environment.line_w, line_bytes);
        plant->environment.line_v = line_v;
        plant->environment.line_w = line_w;
    }
    plant->surroundings = config->environment;
    plant->environment.load_s = load_s;
    plant->environment.load_w = load_w;
    const double lag_s = config->environment.limit_lag_s;
    plant->environment.limit_keep = lag_s > 0.0 ? exp(-(double)config->tick_us * 1e-6 / lag_s) : 0.0;
}

/* ---- load profile ---------------------------------------------------------------------------------------------- */

static double profile_at(const bh_plant *plant, const double *values, int32_t *index, double t_s) {
    const bh_environment *environment = &plant->environment;
    const int32_t last = plant->surroundings.n_load - 1;
    if (last < 1) {
        return last < 0 ? 0.0 : values[0];
    }
    while (*index > 0 && t_s < environment->load_s[*index]) {
        --*index;
    }
    while (*index + 1 < last && t_s >= environment->load_s[*index + 1]) {
        ++*index;
    }
    const double *s = environment->load_s + *index;
    const double *w = values + *index;
    const double x = (t_s - s[0]) / (s[1] - s[0]);
    return x <= 0.0 ? w[0] : x >= 1.0 ? w[1] : w[0] + x * (w[1] - w[0]);
}

/* The profile runs with the clock, whatever the controller does, and repeats. */
static void follow_profile(bh_plant *plant, double scale, double dt_s) {
    bh_environment *environment = &plant->environment;
    const int32_t n = plant->surroundings.n_load;
    int32_t *index = &environment->load_index;
    environment->profile_w = scale * profile_at(plant, environment->load_w, index, environment->load_t_s);
    if (environment->line_v != NULL) {
        environment->wire_v = profile_at(plant, environment->line_v, index, environment->load_t_s);
        environment->wire_w = profile_at(plant, environment->line_w, index, environment->load_t_s);
    }
    environment->load_t_s += dt_s;
    if (n > 0 && environment->load_s[n - 1] > 0.0) {
        while (environment->load_t_s >= environment->load_s[n - 1]) {
            environment->load_t_s -= environment->load_s[n - 1];
        }
    }
}

void bh_plant_set_load_time(bh_plant *plant, double t_s) {
    const int32_t n = plant->surroundings.n_load;
    const double period_s = n > 0 ? plant->environment.load_s[n - 1] : 0.0;
    plant->environment.load_t_s = period_s > 0.0 ? fmod(fmax(t_s, 0.0), period_s) : 0.0;
}

/* ---- limits ---------------------------------------------------------------------------------------------------- */

static double approach(double now, double target, double keep) {
    const double next = target + (now - target) * keep;
    return fabs(next - target) < SETTLED_A ? target : next;
}

static double at_least_zero(double value) {
    return value > 0.0 ? value : 0.0; /* NAN too */
}

static void follow_limits(bh_plant *plant, const bh_heard *heard, uint64_t now_ns) {
    bh_environment *environment = &plant->environment;
    const bh_environment_config *config = &plant->surroundings;
    const double age_s = heard->limits_ns == UINT64_MAX ? HUGE_VAL
                         : now_ns > heard->limits_ns    ? (double)(now_ns - heard->limits_ns) * 1e-9
                                                        : 0.0;
    const double alive = config->limit_timeout_s > 0.0 && age_s > config->limit_timeout_s ? 0.0 : 1.0;
    const double discharge_a = alive * at_least_zero(heard->discharge_limit_a);
    const double charge_a = alive * at_least_zero(heard->charge_limit_a);
    environment->discharge_limit_a = approach(environment->discharge_limit_a, discharge_a, environment->limit_keep);
    environment->charge_limit_a = approach(environment->charge_limit_a, charge_a, environment->limit_keep);
    environment->charge_voltage_limit_v = at_least_zero(heard->charge_voltage_limit_v);
}

/* ---- demand ---------------------------------------------------------------------------------------------------- */

static double charger_target(const bh_plant *plant, const bh_distortion *bent) {
    const bh_environment *environment = &plant->environment;
    const double allowed_a = environment->charger_speaks ? environment->order_a : environment->charge_limit_a;
    const double limit_a = bent->charger_ignores_limits ? HUGE_VAL : allowed_a;
    return limit_a < plant->surroundings.charger_max_a ? limit_a : plant->surroundings.charger_max_a;
}

static double charger_voltage(const bh_plant *plant, const bh_distortion *bent) {
    const bh_environment *environment = &plant->environment;
    const double limit_v = environment->charger_speaks ? environment->order_v : environment->charge_voltage_limit_v;
    const double most_v = plant->surroundings.charger_max_v;
    const double set_v = bent->charger_ignores_limits || limit_v > most_v ? most_v : limit_v;
    return set_v + bent->charger_overvoltage_v;
}

/* Who ignores the controller goes on once started, as long as the link is up. */
uint8_t bh_environment_runs(const bh_plant *plant, const bh_distortion *bent) {
    const bh_environment *environment = &plant->environment;
    const uint8_t wanted = environment->ready_to_drive | (bent->vehicle_ignores_limits & environment->vehicle_on);
    return wanted && plant->pack.link_v > plant->surroundings.load_min_link_v;
}

static uint8_t charger_runs(const bh_plant *plant, const bh_distortion *bent) {
    const bh_environment *environment = &plant->environment;
    const uint8_t wanted = environment->ready_to_charge | (bent->charger_ignores_limits & environment->charger_on);
    return wanted && plant->pack.main_closed;
}

uint8_t bh_environment_pole_on(const bh_plant *plant, const bh_distortion *bent) {
    return plant->environment.line_v != NULL && plant->environment.wire_v > 0.0 && !bent->pole_off;
}

double bh_environment_line_v(const bh_plant *plant, const bh_distortion *bent) {
    const double v = BH_PICK(bent->line_v, plant->environment.wire_v);
    return bh_environment_pole_on(plant, bent) ? fmax(v, 0.0) : 0.0;
}

double bh_environment_pole_v(const bh_plant *plant, const bh_distortion *bent, double link_v) {
    const double line_v = bh_environment_line_v(plant, bent);
    return bent->pole_fed && link_v > line_v ? link_v : line_v;
}

/* What the line gives drive and pack; the converter stops outside the voltage window. */
static double line_power(const bh_plant *plant, const bh_distortion *bent) {
    const double v = bh_environment_line_v(plant, bent);
    const int alive = v >= plant->surroundings.line_min_v && v <= plant->surroundings.line_max_v && v > 0.0;
    return alive ? plant->environment.wire_w : 0.0;
}

/* Pure: what vehicle and charger ask for in this step under this distortion. */
bh_demand bh_environment_demand(const bh_plant *plant, const bh_distortion *bent) {
    const bh_environment *environment = &plant->environment;
    bh_demand demand = {0};
    demand.auxiliary_w = plant->pack.main_closed ? plant->surroundings.auxiliary_w : 0.0;
    demand.discharge_limit_a = bent->vehicle_ignores_limits ? HUGE_VAL : environment->discharge_limit_a;
    demand.charge_limit_a = bent->vehicle_ignores_limits ? HUGE_VAL : environment->charge_limit_a;
    if (bh_environment_runs(plant, bent)) {
        demand.line_w = line_power(plant, bent);
        demand.traction_w = BH_PICK(bent->load_w, environment->profile_w) - demand.line_w;
    }
    demand.charger_v = charger_voltage(plant, bent);
    if (charger_runs(plant, bent) && demand.charger_v > 0.0) {
        const double target_a = charger_target(plant, bent);
        const double charger_a = environment->charger_ramp_a < target_a ? environment->charger_ramp_a : target_a;
        demand.charger_a = bent->charger_reversed ? -charger_a : charger_a;
    }
    demand.short_siemens = 1.0 / BH_PICK(bent->link_short_ohm, HUGE_VAL);
    return demand;
}

/* Take in what the controller said and what the scenario wants, before the demand is asked for. */
void bh_environment_listen(bh_plant *plant, const bh_controls *controls, const bh_heard *heard, uint64_t now_ns,
                           double dt_s) {
    bh_environment *environment = &plant->environment;
    environment->ready_to_drive = heard->ready_to_drive && controls->ignition;
    environment->charger_speaks = heard->charger_speaks;
    environment->order_a = heard->charger_a;
    environment->order_v = heard->charger_v;
    environment->ready_to_charge =
        (heard->charger_speaks ? heard->charger_on : heard->ready_to_charge) && controls->plug;
    environment->charger_on &= controls->plug != 0;
    follow_limits(plant, heard, now_ns);
    follow_profile(plant, controls->load_scale, dt_s);
    if (charger_runs(plant, &plant->distortion)) {
        const double raised_a = environment->charger_ramp_a + plant->surroundings.charger_slope_a_per_s * dt_s;
        const double target_a = charger_target(plant, &plant->distortion);
        environment->charger_ramp_a = raised_a < target_a ? raised_a : target_a;
    } else {
        environment->charger_ramp_a = 0.0;
    }
}

void bh_environment_commit(bh_plant *plant) {
    bh_environment *environment = &plant->environment;
    environment->vehicle_on = bh_environment_runs(plant, &plant->distortion);
    environment->charger_on = charger_runs(plant, &plant->distortion);
}

/* ---- long steps ------------------------------------------------------------------------------------------------- */

static int same(double one, double other) {
    return !(one < other) && !(one > other);
}

int bh_environment_settled(const bh_plant *plant, const bh_heard *heard) {
    const bh_environment *environment = &plant->environment;
    const bh_distortion *bent = &plant->distortion;
    return same(environment->discharge_limit_a, at_least_zero(heard->discharge_limit_a)) &&
           same(environment->charge_limit_a, at_least_zero(heard->charge_limit_a)) &&
           (!charger_runs(plant, bent) || same(environment->charger_ramp_a, charger_target(plant, bent)));
}

static int level(const double *values, int32_t at) {
    return values == NULL || same(values[at], values[at + 1]);
}

double bh_environment_steady_s(const bh_plant *plant, const bh_heard *heard) {
    const bh_environment *environment = &plant->environment;
    const int32_t last = plant->surroundings.n_load - 1;
    if (last < 1 || !(heard->ready_to_drive || environment->vehicle_on)) {
        return HUGE_VAL; /* nobody follows the profile */
    }
    int32_t at = 0;
    while (at + 1 < last && environment->load_t_s >= environment->load_s[at + 1]) {
        ++at;
    }
    const int flat =
        level(environment->load_w, at) && level(environment->line_v, at) && level(environment->line_w, at);
    return flat ? environment->load_s[at + 1] - environment->load_t_s : 0.0;
}
