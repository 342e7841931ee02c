/* SPDX-License-Identifier: Apache-2.0
 *
 * bend.c - faults on the truth: from the table into the distortion the plant reads.
 *
 * What a fault finds is what the faults before it in the table left. For quantities that follow from the simulation
 * (terminal voltage, load) it is the value at the moment the fault became active.
 */
#include <math.h>
#include <string.h>

#include "faults.h"

#define UV_PER_V 1e6
#define NS_PER_S 1e9
#define LEAST_SHORT_OHM 1e-3

/* One fault at work in this tick. */
typedef struct bh_bending {
    const bh_fault *fault;
    bh_fault_state *state;
    double strength;
    uint64_t key;
    uint64_t start_ns; /* of the step */
} bh_bending;

static double applied(const bh_bending *bending, double found, int32_t element) {
    const bh_fault *fault = bending->fault;
    const double value = bh_fault_value(fault, bending->key, element);
    double full = found; /* BH_OP_HOLD */
    switch (fault->op) {
    case BH_OP_SET: full = value; break;
    case BH_OP_ADD: full = found + value; break;
    case BH_OP_SCALE: full = found * value; break;
    default: break;
    }
    return found + bending->strength * (full - found);
}

static double as_found(double distorted, double configured) {
    return isnan(distorted) ? configured : distorted;
}

/* ---- cells --------------------------------------------------------------------------------------------------- */

static double siemens(const bh_bending *bending, int32_t cell) {
    const double ohm = bh_fault_value(bending->fault, bending->key, cell);
    return bending->strength / (ohm > 1e-6 ? ohm : 1e-6);
}

static double at_least(double value, double low) {
    return value > low ? value : low;
}

static void bend_cell(const bh_bending *bending, bh_distortion *bent, int32_t cell) {
    switch (bending->fault->point) {
    case BH_AT_CELL_VOLTAGE:
        bent->cell_hold_v[cell] = applied(
            bending, as_found(bent->cell_hold_v[cell], bending->state->held[cell] / UV_PER_V), cell);
        break;
    case BH_AT_CELL_LEAK_OHM: bent->cell_leak_siemens[cell] += siemens(bending, cell); break;
    case BH_AT_CELL_RESISTANCE:
        bent->cell_r_factor[cell] = at_least(applied(bending, bent->cell_r_factor[cell], cell), 0.0);
        break;
    case BH_AT_CELL_CAPACITY:
        bent->cell_capacity_factor[cell] = at_least(applied(bending, bent->cell_capacity_factor[cell], cell), 1e-3);
        break;
    case BH_AT_CELL_HEAT_W: bent->cell_heat_w[cell] = applied(bending, bent->cell_heat_w[cell], cell); break;
    case BH_AT_JOINT_OHM:
        bent->joint_extra_ohm[cell] = at_least(applied(bending, bent->joint_extra_ohm[cell], cell), 0.0);
        break;
    default: break;
    }
}

/* ---- contactors and scalars ---------------------------------------------------------------------------------- */

/* A state that is there or not: the fault sets it while it acts, or clears it with a value below one half. */
static uint8_t is_set(const bh_bending *bending) {
    return bending->fault->value >= 0.5;
}

static void bend_contactor(const bh_bending *bending, bh_distortion *bent, int32_t contactor) {
    switch (bending->fault->point) {
    case BH_AT_CONTACTOR_WELDED: bent->welded[contactor] = is_set(bending); break;
    case BH_AT_CONTACTOR_STUCK_OPEN: bent->stuck_open[contactor] = is_set(bending); break;
    case BH_AT_CONTACTOR_EXTRA_OPEN_S:
        bent->extra_open_s[contactor] = at_least(applied(bending, bent->extra_open_s[contactor], contactor), 0.0);
        break;
    case BH_AT_CONTACTOR_EXTRA_CLOSE_S:
        bent->extra_close_s[contactor] = at_least(applied(bending, bent->extra_close_s[contactor], contactor), 0.0);
        break;
    case BH_AT_CONTACTOR_BOUNCE_S:
        bent->bounce_s[contactor] = at_least(applied(bending, bent->bounce_s[contactor], contactor), 0.0);
        break;
    default: break;
    }
}

static double bent_from(const bh_bending *bending, double distorted, double configured) {
    return applied(bending, as_found(distorted, configured), 0);
}

/* A resistor in parallel: what grows with the strength is its conductance. */
static double shorted(const bh_bending *bending, double found_ohm) {
    const double ohm = at_least(bh_fault_value(bending->fault, bending->key, 0), LEAST_SHORT_OHM);
    const double siemens = bending->strength / ohm + (isnan(found_ohm) ? 0.0 : 1.0 / found_ohm);
    return siemens > 0.0 ? 1.0 / siemens : (double)NAN;
}

static uint8_t held_in_reset(const bh_bending *bending) {
    return (double)(bending->start_ns - bending->state->since_ns) < bending->fault->value * NS_PER_S;
}

static void bend_electronics(const bh_faults *faults, const bh_bending *bending, bh_distortion *bent) {
    switch (bending->fault->point) {
    case BH_AT_LINK_SHORT_OHM: bent->link_short_ohm = shorted(bending, bent->link_short_ohm); break;
    case BH_AT_CHARGER_REVERSED: bent->charger_reversed = is_set(bending); break;
    case BH_AT_COIL_SUPPLY_V:
        bent->coil_supply_v = at_least(bent_from(bending, bent->coil_supply_v, faults->supply_v), 0.0);
        break;
    case BH_AT_LINE_V: bent->line_v = bent_from(bending, bent->line_v, bending->state->found_line_v); break;
    case BH_AT_POLE_OFF: bent->pole_off = is_set(bending); break;
    case BH_AT_POLE_FED: bent->pole_fed = is_set(bending); break;
    case BH_AT_CLOCK_FACTOR: bent->clock_factor = at_least(applied(bending, bent->clock_factor, 0), 0.0); break;
    case BH_AT_RESET_S: bent->reset |= held_in_reset(bending); break;
    default: break; /* what a power-on finds: controller.c */
    }
}

static void bend_scalar(const bh_faults *faults, const bh_bending *bending, bh_distortion *bent) {
    switch (bending->fault->point) {
    case BH_AT_COOLANT_FLOW: bent->coolant_flow = at_least(applied(bending, bent->coolant_flow, 0), 0.0); break;
    case BH_AT_AMBIENT_DEGC:
        bent->ambient_degc = bent_from(bending, bent->ambient_degc, faults->ambient_degc);
        break;
    case BH_AT_INSULATION_POSITIVE_OHM:
        bent->insulation_positive_ohm =
            at_least(bent_from(bending, bent->insulation_positive_ohm, faults->insulation_positive_ohm), 0.0);
        break;
    case BH_AT_INSULATION_NEGATIVE_OHM:
        bent->insulation_negative_ohm =
            at_least(bent_from(bending, bent->insulation_negative_ohm, faults->insulation_negative_ohm), 0.0);
        break;
    case BH_AT_PRECHARGE_OHM:
        bent->precharge_ohm = at_least(bent_from(bending, bent->precharge_ohm, faults->precharge_ohm), 1e-3);
        break;
    case BH_AT_FUSE_OPEN: bent->fuse_open = is_set(bending); break;
    case BH_AT_SUPPLY_V: bent->supply_v = at_least(bent_from(bending, bent->supply_v, faults->supply_v), 0.0); break;
    case BH_AT_HVIL_OPEN: bent->hvil_open = is_set(bending); break;
    case BH_AT_CRASH: bent->crash = is_set(bending); break;
    case BH_AT_CHARGER_IGNORES_LIMITS: bent->charger_ignores_limits = is_set(bending); break;
    case BH_AT_CHARGER_OVERVOLTAGE_V:
        bent->charger_overvoltage_v = applied(bending, bent->charger_overvoltage_v, 0);
        break;
    case BH_AT_VEHICLE_IGNORES_LIMITS: bent->vehicle_ignores_limits = is_set(bending); break;
    case BH_AT_LOAD_W: bent->load_w = bent_from(bending, bent->load_w, bending->state->found); break;
    default: bend_electronics(faults, bending, bent); break;
    }
}

/* ---- all faults ---------------------------------------------------------------------------------------------- */

static int is_cell_point(int32_t point) {
    return point <= BH_AT_JOINT_OHM;
}

static int is_contactor_point(int32_t point) {
    return (point >= BH_AT_CONTACTOR_WELDED && point <= BH_AT_CONTACTOR_EXTRA_CLOSE_S) ||
           point == BH_AT_CONTACTOR_BOUNCE_S;
}

static void bend(const bh_faults *faults, const bh_bending *bending, bh_distortion *bent) {
    const int32_t point = bending->fault->point;
    if (!is_cell_point(point) && !is_contactor_point(point)) {
        bend_scalar(faults, bending, bent);
        return;
    }
    const int32_t n = is_cell_point(point) ? faults->n_cells : BH_N_CONTACTORS;
    const int32_t first = bending->fault->index < 0 ? 0 : bending->fault->index;
    const int32_t span = bending->fault->span > 1 ? bending->fault->span : 1;
    const int32_t end = bending->fault->index < 0 ? n : first + span;
    for (int32_t i = first; i < end; i++) {
        if (is_cell_point(point)) {
            bend_cell(bending, bent, i);
        } else {
            bend_contactor(bending, bent, i);
        }
    }
    bent->cells_touched += is_cell_point(point) ? end - first : 0;
}

static void became_active(const bh_fault *fault, bh_fault_state *state, const bh_truth *truth, int32_t n_cells,
                          uint64_t start_ns) {
    state->on = 1;
    state->since_ns = start_ns;
    state->accumulator = 0.0;
    state->found = truth->load_w;
    state->found_line_v = truth->line_v;
    for (int32_t i = 0; i < n_cells && fault->point == BH_AT_CELL_VOLTAGE; i++) {
        state->held[i] = (int32_t)lrint((double)truth->cell_v[i] * UV_PER_V);
    }
}

/* A step stands still between its begin and its end; the other shapes move, and a reset ends by itself. */
static int moves(const bh_fault *fault) {
    return fault->shape != BH_SHAPE_STEP || fault->point == BH_AT_RESET_S;
}

/* Only when a list of active faults changes, or a shape moves, is there anything to do. */
void bh_faults_bend(bh_faults *faults, bh_plant *plant, uint64_t start_ns, uint64_t tick) {
    const int changed = bh_active_update(faults, &faults->truth, 0, BH_N_TRUTH_POINTS - 1, start_ns);
    if (!changed && !faults->moving) {
        return;
    }
    if (faults->bent) {
        bh_plant_undistort(plant);
        faults->bent = 0;
    }
    faults->moving = 0;
    for (int32_t k = 0; k < faults->truth.n; k++) {
        const int32_t i = faults->truth.fault[k];
        const bh_fault *fault = &faults->plan[i];
        bh_bending bending = {fault, &faults->state[i], bh_fault_strength(fault, start_ns),
                              bh_fault_key(fault, faults->seed, tick), start_ns};
        faults->moving |= (uint8_t)moves(fault);
        if (bending.strength <= 0.0) {
            bending.state->on = 0;
            continue;
        }
        if (!bending.state->on) {
            became_active(fault, bending.state, bh_plant_truth(plant), faults->n_cells, start_ns);
        }
        bend(faults, &bending, bh_plant_distortion(plant));
        faults->bent = 1;
    }
}

void bh_faults_observe(bh_faults *faults, const bh_plant *plant, uint64_t now_ns, double dt_s) {
    for (int32_t k = 0; k < faults->truth.n; k++) {
        const int32_t i = faults->truth.fault[k];
        bh_fault_state *state = &faults->state[i];
        if (!state->on) {
            continue;
        }
        faults->report[i].active_ticks++;
        if (bh_plant_effect(plant, &faults->plan[i], &state->accumulator, dt_s) >= 1.0) {
            bh_fault_fired(&faults->report[i], now_ns);
        }
    }
}
