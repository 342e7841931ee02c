/* SPDX-License-Identifier: Apache-2.0
 *
 * effect.c - did a fault on the truth change what the controller's sensors see? Each estimate compares the step just
 * done with what it would have been without the fault, in LSB of the input concerned.
 */
#include <math.h>

#include "plant.h"

static const double UV_PER_V = 1e6;
static const double MILLI = 1e3;
static const double MICRO = 1e6;

/* ---- cells ----------------------------------------------------------------------------------------------------- */

static double drive_sum(const bh_cells *cells) {
    return fabs(cells->drive[BH_DISCHARGE]) + fabs(cells->drive[BH_CHARGE]);
}

/* Volts at the terminals of one cell. accumulator: charge in C since the fault began. */
static double cell_volts(const bh_plant *plant, int32_t point, int32_t i, double *accumulator, double dt_s) {
    const bh_cells *cells = &plant->cells;
    const bh_distortion *bent = &plant->distortion;
    const double slope_v_per_c = fabs((double)cells->k[i]);
    switch (point) {
    case BH_AT_CELL_VOLTAGE:
        return isnan(bent->cell_hold_v[i]) ? 0.0 : fabs(bent->cell_hold_v[i] - (double)cells->free_v[i]);
    case BH_AT_CELL_LEAK_OHM: {
        const double leak_a = fabs((double)cells->v[i]) * bent->cell_leak_siemens[i];
        *accumulator += leak_a * dt_s;
        return *accumulator * slope_v_per_c + leak_a * (double)cells->rd[i];
    }
    case BH_AT_CELL_RESISTANCE:
        return fabs(bent->cell_r_factor[i] - 1.0) * (double)cells->free_r[i] * drive_sum(cells);
    case BH_AT_CELL_CAPACITY:
        *accumulator += cells->current_a * dt_s;
        return fabs(*accumulator * (1.0 - bent->cell_capacity_factor[i])) * slope_v_per_c;
    default: /* BH_AT_JOINT_OHM */
        return fabs(cells->current_a) * bent->joint_extra_ohm[i];
    }
}

static double cells_volts(const bh_plant *plant, const bh_fault *fault, double *accumulator, double dt_s) {
    if (fault->index >= 0) {
        return cell_volts(plant, fault->point, fault->index, accumulator, dt_s);
    }
    const double before = *accumulator;
    double most = 0.0;
    for (int32_t i = 0; i < plant->cells.n; ++i) {
        *accumulator = before;
        most = fmax(most, cell_volts(plant, fault->point, i, accumulator, dt_s));
    }
    return most;
}

/* ---- temperature ----------------------------------------------------------------------------------------------- */

/* Kelvin a fault can have caused at most with this heat, and no more than faults did cause at any sensor. */
static double sensed_kelvin(const bh_plant *plant, double heat_w, double *accumulator_j, double dt_s) {
    *accumulator_j += fabs(heat_w) * dt_s;
    double most = 0.0;
    for (int32_t s = 0; s < plant->config.n_temps; ++s) {
        most = fmax(most, fabs(plant->thermal.shadow[plant->config.temp_cell[s] + 1]));
    }
    return fmin(most, *accumulator_j / plant->config.heat_capacity_j_per_k);
}

static double thermal_kelvin(const bh_plant *plant, const bh_fault *fault, double *accumulator_j, double dt_s) {
    const bh_distortion *bent = &plant->distortion;
    const bh_pack_config *pack = &plant->config;
    double heat_w = 0.0;
    if (fault->point == BH_AT_CELL_HEAT_W) {
        heat_w = bent->cell_heat_w[fault->index >= 0 ? fault->index : 0];
    } else if (fault->point == BH_AT_COOLANT_FLOW) {
        const double above_k = (double)plant->truth.cell_degc_max - plant->truth.coolant_degc;
        const double below_k = plant->truth.coolant_degc - (double)plant->truth.cell_degc_min;
        heat_w = pack->cooling_w_per_k * (1.0 - bent->coolant_flow) * fmax(above_k, below_k);
    } else {
        const double ambient_k = BH_PICK(bent->ambient_degc, pack->ambient_degc) - pack->ambient_degc;
        const double coolant_k = BH_PICK(bent->ambient_degc, pack->coolant_degc) - pack->coolant_degc;
        heat_w = pack->ambient_w_per_k * fabs(ambient_k) + pack->cooling_w_per_k * fabs(coolant_k);
    }
    return sensed_kelvin(plant, heat_w, accumulator_j, dt_s);
}

/* ---- contactors, precharge, fuse, insulation ------------------------------------------------------------------- */

static double contactor_bits(const bh_plant *plant, const bh_fault *fault) {
    double bits = 0.0;
    for (int c = 0; c < BH_N_CONTACTORS; ++c) {
        if (fault->index >= 0 && fault->index != c) {
            continue;
        }
        const bh_contactor *contactor = &plant->pack.contactors[c];
        const int slow = fault->point == BH_AT_CONTACTOR_EXTRA_OPEN_S ||
                         fault->point == BH_AT_CONTACTOR_EXTRA_CLOSE_S || fault->point == BH_AT_COIL_SUPPLY_V;
        const uint8_t other = slow ? contactor->plain : contactor->armature;
        const uint8_t same = slow ? contactor->armature : contactor->closed;
        bits += other != same;
    }
    return bits;
}

static int has_path(const bh_plant *plant) {
    const uint32_t closed = plant->truth.closed;
    return (closed & FIL_OUT_NEGATIVE) && (closed & (FIL_OUT_POSITIVE | FIL_OUT_PRECHARGE));
}

/* mA in the precharge resistor, or mV they have added up to on the link. */
static double precharge_effect(const bh_plant *plant, double *accumulator_v, double dt_s) {
    const uint32_t path = FIL_OUT_PRECHARGE | FIL_OUT_NEGATIVE;
    if ((plant->truth.closed & path) != path || plant->pack.main_closed) {
        return 0.0;
    }
    const double bent_ohm = BH_PICK(plant->distortion.precharge_ohm, plant->config.precharge_ohm);
    const double gap_v = plant->pack.source.emf_v - plant->pack.link_before_v;
    const double difference_a = fabs(gap_v / plant->config.precharge_ohm - gap_v / bent_ohm);
    *accumulator_v += difference_a * dt_s / plant->config.link_capacitance_f;
    return MILLI * fmax(difference_a, *accumulator_v);
}

static double insulation_ohms(const bh_plant *plant, int32_t point) {
    bh_distortion without = plant->distortion;
    if (point == BH_AT_INSULATION_POSITIVE_OHM) {
        without.insulation_positive_ohm = NAN;
    } else {
        without.insulation_negative_ohm = NAN;
    }
    return fabs(bh_pack_insulation(plant, &without) - bh_pack_insulation(plant, &plant->distortion));
}

/* ---- vehicle and charger --------------------------------------------------------------------------------------- */

/* mA the pack current would differ by had the vehicle or charger fault not been there in this step. */
static double current_effect(const bh_plant *plant, int32_t point) {
    if (!plant->pack.main_closed) {
        return 0.0;
    }
    bh_distortion without = plant->distortion;
    switch (point) {
    case BH_AT_CHARGER_IGNORES_LIMITS:
        without.charger_ignores_limits = 0;
        break;
    case BH_AT_CHARGER_OVERVOLTAGE_V:
        without.charger_overvoltage_v = 0.0;
        break;
    case BH_AT_VEHICLE_IGNORES_LIMITS:
        without.vehicle_ignores_limits = 0;
        break;
    case BH_AT_LINK_SHORT_OHM:
        without.link_short_ohm = NAN;
        break;
    case BH_AT_CHARGER_REVERSED:
        without.charger_reversed = 0;
        break;
    case BH_AT_LINE_V:
        without.line_v = NAN;
        break;
    case BH_AT_POLE_OFF:
        without.pole_off = 0;
        break;
    default: /* BH_AT_LOAD_W */
        without.load_w = NAN;
        break;
    }
    const bh_demand with_demand = bh_environment_demand(plant, &plant->distortion);
    const bh_demand without_demand = bh_environment_demand(plant, &without);
    const bh_flow with_flow = bh_pack_flow_closed(plant, &with_demand);
    const bh_flow without_flow = bh_pack_flow_closed(plant, &without_demand);
    return MILLI * fabs(with_flow.pack_a - without_flow.pack_a);
}

/* mV the voltage at the poles differs by; the other nodes measure it. */
static double line_effect(const bh_plant *plant, int32_t point) {
    const double without_v =
        point == BH_AT_POLE_FED ? bh_environment_line_v(plant, &plant->distortion) : plant->environment.wire_v;
    return MILLI * fabs(plant->truth.line_v - without_v);
}

/* What acts on the line is seen by the pack, by who measures the line, or by both. */
static double overhead_effect(const bh_plant *plant, int32_t point) {
    if (plant->environment.line_v == NULL) {
        return 0.0;
    }
    const double contact = point == BH_AT_POLE_OFF && plant->environment.wire_v > 0.0 ? 1.0 : 0.0;
    const double current = point == BH_AT_POLE_FED ? 0.0 : current_effect(plant, point);
    return fmax(fmax(current, contact), line_effect(plant, point));
}

/* Volts a short takes from an unsupported link in this step. */
static double drained_volts(const bh_plant *plant, double dt_s) {
    const bh_demand demand = bh_environment_demand(plant, &plant->distortion);
    const double share = 1.0 - exp(-dt_s * demand.short_siemens / plant->config.link_capacitance_f);
    return plant->pack.main_closed ? 0.0 : fabs(plant->pack.link_before_v) * share;
}

/* ---- interface ------------------------------------------------------------------------------------------------- */

double bh_plant_effect(const bh_plant *plant, const bh_fault *fault, double *accumulator, double dt_s) {
    switch (fault->point) {
    case BH_AT_CELL_VOLTAGE:
    case BH_AT_CELL_LEAK_OHM:
    case BH_AT_CELL_RESISTANCE:
    case BH_AT_CELL_CAPACITY:
    case BH_AT_JOINT_OHM:
        return UV_PER_V * cells_volts(plant, fault, accumulator, dt_s);
    case BH_AT_CELL_HEAT_W:
    case BH_AT_COOLANT_FLOW:
    case BH_AT_AMBIENT_DEGC:
        return MILLI * thermal_kelvin(plant, fault, accumulator, dt_s);
    case BH_AT_INSULATION_POSITIVE_OHM:
    case BH_AT_INSULATION_NEGATIVE_OHM:
        return insulation_ohms(plant, fault->point);
    case BH_AT_CONTACTOR_WELDED:
    case BH_AT_CONTACTOR_STUCK_OPEN:
    case BH_AT_CONTACTOR_EXTRA_OPEN_S:
    case BH_AT_CONTACTOR_EXTRA_CLOSE_S:
    case BH_AT_CONTACTOR_BOUNCE_S:
    case BH_AT_COIL_SUPPLY_V:
        return contactor_bits(plant, fault);
    case BH_AT_PRECHARGE_OHM:
        return precharge_effect(plant, accumulator, dt_s);
    case BH_AT_FUSE_OPEN:
        return plant->distortion.fuse_open && has_path(plant) ? 1.0 : 0.0;
    case BH_AT_SUPPLY_V:
        return MILLI * fabs(plant->truth.supply_v - plant->config.supply_v);
    case BH_AT_HVIL_OPEN:
    case BH_AT_CRASH:
        return (fault->point == BH_AT_CRASH ? plant->distortion.crash : plant->distortion.hvil_open) ? 1.0 : 0.0;
    case BH_AT_CHARGER_IGNORES_LIMITS:
    case BH_AT_CHARGER_OVERVOLTAGE_V:
    case BH_AT_VEHICLE_IGNORES_LIMITS:
    case BH_AT_LOAD_W:
    case BH_AT_CHARGER_REVERSED:
        return current_effect(plant, fault->point);
    case BH_AT_LINK_SHORT_OHM:
        return fmax(current_effect(plant, fault->point), drained_volts(plant, dt_s) * MILLI);
    case BH_AT_LINE_V:
    case BH_AT_POLE_OFF:
    case BH_AT_POLE_FED:
        return overhead_effect(plant, fault->point);
    case BH_AT_CLOCK_FACTOR:
        *accumulator += fabs(plant->distortion.clock_factor - 1.0) * dt_s;
        return MICRO * *accumulator;
    default:
        return 0.0;
    }
}
