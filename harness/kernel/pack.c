/* SPDX-License-Identifier: Apache-2.0
 *
 * pack.c - contactors, fuse, DC link, insulation. The current is the mean over a step, voltages are those at its end.
 *
 *   cells -- fuse -- positive contactor ------------+---- link capacitor, bleed, vehicle, charging inlet
 *                 \- precharge contactor - resistor-/
 *   cells ---------- negative contactor ------------ link
 */
#include <math.h>

#include "plant.h"

static const double CLOSE_ENOUGH_S = 1e-9;
static const double PULLS_IN = 0.7; /* of the rated coil voltage: must operate, must release (data-sheet habit) */
static const double HOLDS = 0.3;
static const double DISCHARGED_V = 1e-6; /* a lower link voltage is none: no denormal numbers */
static const double INVERTER_BLOCKS = 1.2; /* times the pack voltage: an inverter cut off from the pack stops there */

/* ---- contactors ------------------------------------------------------------------------------------------------ */

static uint8_t move(uint8_t state, uint8_t command, double *waiting_s, double delay_s, double dt_s) {
    if (command == state) {
        *waiting_s = 0.0;
        return state;
    }
    if (*waiting_s + CLOSE_ENOUGH_S >= delay_s) {
        *waiting_s = 0.0;
        return command;
    }
    *waiting_s += dt_s;
    return state;
}

/* The coil follows its command as long as its supply lets it: more is needed to pull in than to hold. */
static uint8_t energised(const bh_plant *plant, const bh_contactor *contactor, uint8_t command) {
    const double coil_v = BH_PICK(plant->distortion.coil_supply_v, plant->config.supply_v);
    return command && coil_v >= (contactor->armature ? HOLDS : PULLS_IN) * plant->config.supply_v;
}

/* Chattering: open in every second step for a while after the armature has closed. */
static uint8_t bounces(bh_contactor *contactor, double bounce_s, double dt_s) {
    contactor->closed_s = contactor->armature ? fmax(contactor->closed_s, 0.0) + dt_s : -dt_s;
    if (bounce_s <= 0.0 || !contactor->armature || contactor->closed_s > bounce_s + CLOSE_ENOUGH_S) {
        return 0;
    }
    return lrint(contactor->closed_s / dt_s) % 2 == 0;
}

static void switch_one(bh_plant *plant, int c, uint8_t command, double dt_s) {
    bh_contactor *contactor = &plant->pack.contactors[c];
    const bh_distortion *bent = &plant->distortion;
    const uint8_t coil = energised(plant, contactor, command);
    const double plain_s = command ? plant->config.contactor_close_s : plant->config.contactor_open_s;
    const double moves_s = coil ? plant->config.contactor_close_s : plant->config.contactor_open_s;
    const double extra_s = coil ? bent->extra_close_s[c] : bent->extra_open_s[c];
    contactor->armature = move(contactor->armature, coil, &contactor->waiting_s, moves_s + extra_s, dt_s);
    contactor->plain = move(contactor->plain, command, &contactor->plain_waiting_s, plain_s, dt_s);
    const uint8_t touching = contactor->armature & !bounces(contactor, bent->bounce_s[c], dt_s);
    contactor->closed = (uint8_t)((touching | bent->welded[c]) & !bent->stuck_open[c]);
}

static const uint32_t COMMAND_BIT[BH_N_CONTACTORS] = {FIL_OUT_POSITIVE, FIL_OUT_NEGATIVE, FIL_OUT_PRECHARGE};

/* Move the contactors; auxiliary contacts follow the main contacts, welded ones too. */
void bh_pack_switch(bh_plant *plant, uint32_t commands, double dt_s) {
    uint32_t closed = 0;
    for (int c = 0; c < BH_N_CONTACTORS; ++c) {
        switch_one(plant, c, (commands & COMMAND_BIT[c]) != 0, dt_s);
        closed |= plant->pack.contactors[c].closed ? COMMAND_BIT[c] : 0;
    }
    plant->truth.closed = closed;
    plant->truth.aux = closed;
    plant->truth.fuse_open = plant->pack.fuse_blown | plant->distortion.fuse_open;
    const uint32_t both = FIL_OUT_POSITIVE | FIL_OUT_NEGATIVE;
    plant->pack.main_before = plant->pack.main_closed;
    plant->pack.main_closed = (closed & both) == both && !plant->truth.fuse_open;
}

int bh_pack_precharging(const bh_plant *plant) {
    const uint32_t path = FIL_OUT_PRECHARGE | FIL_OUT_NEGATIVE;
    return !plant->pack.main_closed && (plant->truth.closed & path) == path && !plant->truth.fuse_open;
}

/* ---- link ------------------------------------------------------------------------------------------------------ */

/* What the charger may deliver before the link passes the voltage it regulates to. */
static double charger_current(const bh_demand *demand, double emf_v, double r_ohm, double g_siemens, double held_a) {
    if (demand->charger_a <= 0.0) {
        return demand->charger_a; /* reversed: a load without any regulation */
    }
    const double v = demand->charger_v;
    const double load_a = (demand->auxiliary_w + demand->traction_w) / v;
    const double by_voltage_a = load_a + g_siemens * v - held_a - (emf_v - v) / r_ohm;
    const double most_a = by_voltage_a < demand->charger_a ? by_voltage_a : demand->charger_a;
    return most_a > 0.0 ? most_a : 0.0;
}

/* Voltage of a source behind its resistance that gives a power; beyond its greatest power, the voltage there. */
static double voltage_at(double open_v, double inner_ohm, double power_w) {
    const double under_root = open_v * open_v - 4.0 * inner_ohm * power_w;
    return 0.5 * (open_v + (under_root > 0.0 ? sqrt(under_root) : 0.0));
}

/* A feed that floats the pack gives no more than lifts the link to its voltage, and nothing above it. */
static double floated_voltage(const bh_demand *demand, double open_v, double inner_ohm, double float_v) {
    const double power_w = demand->traction_w + demand->auxiliary_w;
    const double v = voltage_at(open_v, inner_ohm, power_w);
    if (float_v <= 0.0 || v <= float_v || demand->line_w <= 0.0) {
        return v;
    }
    const double alone_v = voltage_at(open_v, inner_ohm, power_w + demand->line_w);
    return alone_v > float_v ? alone_v : float_v;
}

/* The link with vehicle and auxiliaries: power is constant over the step, the limits cap the vehicle's current. */
static double loaded_voltage(const bh_demand *demand, double open_v, double inner_ohm, double float_v) {
    const double v = floated_voltage(demand, open_v, inner_ohm, float_v);
    const double load_a = (open_v - v) / inner_ohm;
    if (load_a < -demand->charge_limit_a) {
        return open_v + inner_ohm * demand->charge_limit_a;
    }
    if (load_a > demand->discharge_limit_a) {
        const double capped_v = open_v - inner_ohm * demand->discharge_limit_a;
        const double auxiliary_v = voltage_at(open_v, inner_ohm, demand->auxiliary_w); /* they run on regardless */
        return capped_v < auxiliary_v ? capped_v : auxiliary_v;
    }
    return v;
}

/* Closed: the link hangs on the pack, or on several packs that together are this source. */
bh_flow bh_pack_solve(const bh_plant *plant, const bh_demand *demand, double emf_v, double r_ohm) {
    const bh_pack *pack = &plant->pack;
    const double capacitor_siemens = plant->config.link_capacitance_f / pack->dt_s;
    const double held_a = capacitor_siemens * pack->link_before_v;
    const double g = 1.0 / plant->config.link_bleed_ohm + demand->short_siemens + capacitor_siemens;
    bh_flow flow = {0};
    flow.charger_a = charger_current(demand, emf_v, r_ohm, g, held_a);
    const double open_v = (emf_v + r_ohm * (flow.charger_a + held_a)) / (1.0 + r_ohm * g);
    const double inner_ohm = r_ohm / (1.0 + r_ohm * g);
    flow.link_v = loaded_voltage(demand, open_v, inner_ohm, plant->surroundings.float_v);
    flow.load_w = flow.link_v * (open_v - flow.link_v) / inner_ohm;
    flow.pack_a = (emf_v - flow.link_v) / r_ohm;
    return flow;
}

/* Pure: what flows in this step with the main contactors closed and this demand. */
bh_flow bh_pack_flow_closed(const bh_plant *plant, const bh_demand *demand) {
    const bh_source *source = &plant->pack.source;
    const bh_flow flow = bh_pack_solve(plant, demand, source->emf_v, source->r_ohm[BH_DISCHARGE]);
    if (flow.pack_a >= 0.0) {
        return flow;
    }
    return bh_pack_solve(plant, demand, source->emf_v, source->r_ohm[BH_CHARGE]);
}

static double decay_of(bh_pack *pack, double exponent) {
    if (exponent < pack->decay_key || exponent > pack->decay_key) {
        pack->decay_key = exponent;
        pack->decay = exp(-exponent);
    }
    return pack->decay;
}

/* What vehicle and auxiliaries still take out of a link that the main contactors do not hold up. */
static double unsupported_load(const bh_plant *plant, const bh_demand *demand, double *link_v) {
    const double before_v = *link_v;
    if (before_v <= plant->surroundings.load_min_link_v) {
        return 0.0;
    }
    const double taken_j = demand->traction_w * plant->pack.dt_s;
    const double square = before_v * before_v - 2.0 * taken_j / plant->config.link_capacitance_f;
    const double least_v = plant->surroundings.load_min_link_v;
    const double blocked_v = INVERTER_BLOCKS * plant->pack.source.emf_v;
    const double most_v = before_v > blocked_v ? before_v : blocked_v;
    double after_v = square > 0.0 ? sqrt(square) : 0.0;
    after_v = after_v < least_v ? least_v : after_v > most_v ? most_v : after_v;
    *link_v = after_v;
    return 0.5 * plant->config.link_capacitance_f * (before_v * before_v - after_v * after_v) / plant->pack.dt_s;
}

/* Open or precharging: the capacitor moves exponentially, exact over the step. */
bh_flow bh_pack_unsupported(bh_plant *plant, const bh_demand *demand, double emf_v, double source_siemens) {
    bh_pack *pack = &plant->pack;
    const double capacitance_f = plant->config.link_capacitance_f;
    bh_flow flow = {0};
    double v = pack->link_before_v;
    flow.load_w = unsupported_load(plant, demand, &v);
    const double g = source_siemens + 1.0 / plant->config.link_bleed_ohm + demand->short_siemens;
    const double final_v = emf_v * source_siemens / g;
    const double exponent = pack->dt_s * g / capacitance_f;
    const double decay = decay_of(pack, exponent);
    flow.link_v = final_v + (v - final_v) * decay;
    flow.link_v = flow.link_v < DISCHARGED_V ? 0.0 : flow.link_v;
    const double mean_v = final_v + (v - final_v) * (1.0 - decay) / exponent;
    flow.pack_a = (emf_v - mean_v) * source_siemens;
    flow.peak_a = fmax(fabs(emf_v - v) * source_siemens, fabs(flow.pack_a));
    return flow;
}

double bh_pack_precharge_ohm(const bh_plant *plant, double link_v) {
    const bh_source *source = &plant->pack.source;
    const double resistor_ohm = BH_PICK(plant->distortion.precharge_ohm, plant->config.precharge_ohm);
    return resistor_ohm + source->r_ohm[link_v > source->emf_v ? BH_CHARGE : BH_DISCHARGE];
}

double bh_pack_peak(const bh_plant *plant, double pack_a) {
    const bh_pack *pack = &plant->pack;
    if (pack->main_before) {
        return fabs(pack_a);
    }
    const double gap_v = pack->source.emf_v - pack->link_before_v; /* the inrush goes through the pack's resistance */
    const double inrush_a = fabs(gap_v) / pack->source.r_ohm[gap_v < 0.0 ? BH_CHARGE : BH_DISCHARGE];
    return fmax(fabs(pack_a), inrush_a);
}

/* Currents and link voltage of this step. */
bh_flow bh_pack_flow(bh_plant *plant, const bh_demand *demand) {
    bh_pack *pack = &plant->pack;
    pack->link_before_v = pack->link_v;
    if (!pack->main_closed) {
        const double ohm = bh_pack_precharging(plant) ? bh_pack_precharge_ohm(plant, pack->link_v) : HUGE_VAL;
        return bh_pack_unsupported(plant, demand, pack->source.emf_v, 1.0 / ohm);
    }
    bh_flow flow = bh_pack_flow_closed(plant, demand);
    flow.peak_a = bh_pack_peak(plant, flow.pack_a);
    return flow;
}

/* ---- fuse, insulation ------------------------------------------------------------------------------------------ */

static void heat_fuse(bh_plant *plant, const bh_flow *flow) {
    bh_pack *pack = &plant->pack;
    const double rated_a = plant->config.fuse_rated_a;
    double over_a2s = (flow->pack_a * flow->pack_a - rated_a * rated_a) * pack->dt_s;
    if (pack->main_closed && !pack->main_before) { /* C dU^2 / 2R: the inrush is over long before the step ends */
        const double r_ohm = pack->source.r_ohm[BH_DISCHARGE];
        over_a2s += 0.5 * plant->config.link_capacitance_f * r_ohm * flow->peak_a * flow->peak_a;
    }
    pack->fuse_a2s = fmax(0.0, pack->fuse_a2s + over_a2s);
    pack->fuse_blown |= plant->config.fuse_i2t_a2s > 0.0 && pack->fuse_a2s >= plant->config.fuse_i2t_a2s;
}

void bh_pack_commit(bh_plant *plant, const bh_flow *flow) {
    plant->pack.link_v = flow->link_v;
    heat_fuse(plant, flow);
}

/* Both poles in parallel, as an ideal monitor reads it. */
double bh_pack_insulation(const bh_plant *plant, const bh_distortion *distortion) {
    const double positive = BH_PICK(distortion->insulation_positive_ohm, plant->config.insulation_positive_ohm);
    const double negative = BH_PICK(distortion->insulation_negative_ohm, plant->config.insulation_negative_ohm);
    return positive + negative > 0.0 ? positive * negative / (positive + negative) : 0.0;
}
