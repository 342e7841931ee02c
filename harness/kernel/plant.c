/* SPDX-License-Identifier: Apache-2.0
 *
 * plant.c - the plant as the rest of the kernel sees it: laid out in the arena, stepped, read.
 */
#include <math.h>
#include <string.h>

#include "plant.h"

/* ---- distortion ------------------------------------------------------------------------------------------------ */

static void undistort_cells(bh_distortion *bent, int32_t n_cells) {
    for (int32_t i = 0; i < n_cells; ++i) {
        bent->cell_hold_v[i] = NAN;
        bent->cell_r_factor[i] = 1.0;
        bent->cell_capacity_factor[i] = 1.0;
    }
    memset(bent->cell_leak_siemens, 0, (size_t)n_cells * sizeof(double));
    memset(bent->cell_heat_w, 0, (size_t)n_cells * sizeof(double));
    memset(bent->joint_extra_ohm, 0, (size_t)n_cells * sizeof(double));
    bent->cells_touched = 0;
}

static void distortion_create(bh_plant *plant, bh_arena *arena, int32_t n_padded) {
    double *blocks[6];
    for (int b = 0; b < 6; ++b) {
        blocks[b] = bh_take(arena, (size_t)n_padded * sizeof(double));
    }
    if (plant == NULL) {
        return;
    }
    bh_distortion *bent = &plant->distortion;
    bent->cell_hold_v = blocks[0];
    bent->cell_leak_siemens = blocks[1];
    bent->cell_r_factor = blocks[2];
    bent->cell_capacity_factor = blocks[3];
    bent->cell_heat_w = blocks[4];
    bent->joint_extra_ohm = blocks[5];
    undistort_cells(bent, n_padded); /* the padding stays neutral */
    bh_plant_undistort(plant);
}

void bh_plant_undistort(bh_plant *plant) {
    bh_distortion *bent = &plant->distortion;
    if (bent->cells_touched) {
        undistort_cells(bent, plant->config.n_cells);
    }
    bh_distortion neutral = {0};
    neutral.cell_hold_v = bent->cell_hold_v;
    neutral.cell_leak_siemens = bent->cell_leak_siemens;
    neutral.cell_r_factor = bent->cell_r_factor;
    neutral.cell_capacity_factor = bent->cell_capacity_factor;
    neutral.cell_heat_w = bent->cell_heat_w;
    neutral.joint_extra_ohm = bent->joint_extra_ohm;
    neutral.coolant_flow = 1.0;
    neutral.ambient_degc = NAN;
    neutral.insulation_positive_ohm = NAN;
    neutral.insulation_negative_ohm = NAN;
    neutral.precharge_ohm = NAN;
    neutral.supply_v = NAN;
    neutral.load_w = NAN;
    neutral.line_v = NAN;
    neutral.link_short_ohm = NAN;
    neutral.coil_supply_v = NAN;
    neutral.clock_factor = 1.0;
    *bent = neutral;
}

bh_distortion *bh_plant_distortion(bh_plant *plant) {
    return &plant->distortion;
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

static void fill_truth(bh_plant *plant, const bh_controls *controls, const bh_flow *flow) {
    bh_truth *truth = &plant->truth;
    const bh_distortion *bent = &plant->distortion;
    truth->pack_a = flow->pack_a;
    truth->peak_a = flow->peak_a;
    truth->link_v = flow->link_v;
    truth->charger_a = flow->charger_a;
    truth->load_w = flow->load_w;
    truth->line_v = bh_environment_pole_v(plant, bent, flow->link_v);
    truth->pole_on = bh_environment_pole_on(plant, bent);
    truth->charger_v = controls->plug ? flow->link_v : 0.0; /* the inlet hangs on the link once plugged */
    truth->insulation_ohm = bh_pack_insulation(plant, bent);
    truth->supply_v = BH_PICK(bent->supply_v, plant->config.supply_v);
    truth->hvil_closed = !bent->hvil_open;
    truth->crash = bent->crash;
    truth->reset = bent->reset;
    truth->clock_factor = bent->clock_factor;
}

static void settle(bh_plant *plant) {
    const bh_controls idle = {0};
    const bh_flow none = {0};
    bh_cells_at_rest(plant);
    plant->pack.source = bh_cells_source(&plant->cells, plant);
    bh_cells_advance(plant, 0.0, 0.0);
    plant->truth.pack_v = plant->pack.source.emf_v;
    plant->truth.coolant_degc = plant->config.coolant_degc;
    fill_truth(plant, &idle, &none);
}

/* Lay the plant out in the arena (count only when arena->base is NULL, then returns NULL). Tables are copied in. */
bh_plant *bh_plant_create(bh_arena *arena, const bh_config *config) {
    bh_plant *plant = bh_take(arena, sizeof *plant);
    if (arena->base == NULL) {
        plant = NULL;
    }
    int32_t *temp_cell = bh_take(arena, (size_t)config->pack.n_temps * sizeof(int32_t));
    if (plant != NULL) {
        plant->config = config->pack;
        plant->model = config->cell;
        plant->pack.dt_s = (double)config->tick_us * 1e-6;
        memcpy(temp_cell, config->pack.temp_cell, (size_t)config->pack.n_temps * sizeof(int32_t));
        plant->config.temp_cell = temp_cell;
    }
    distortion_create(plant, arena, (config->pack.n_cells + BH_LANES - 1) / BH_LANES * BH_LANES);
    bh_thermal_create(plant, arena, config);
    bh_cells_create(plant, arena, config);
    bh_environment_create(plant, arena, config);
    if (plant != NULL) {
        settle(plant);
    }
    return plant;
}

bh_demand bh_plant_prepare(bh_plant *plant, const bh_controls *controls, const bh_heard *heard, uint64_t now_ns,
                           double dt_s) {
    bh_cells_refresh(plant, controls->balancing, dt_s);
    plant->pack.source = bh_cells_source(&plant->cells, plant);
    plant->pack.dt_s = dt_s;
    bh_pack_switch(plant, controls->contactors, dt_s);
    bh_environment_listen(plant, controls, heard, now_ns, dt_s);
    return bh_environment_demand(plant, &plant->distortion);
}

void bh_plant_finish(bh_plant *plant, const bh_controls *controls, const bh_flow *flow, double dt_s) {
    bh_environment_commit(plant);
    bh_pack_commit(plant, flow);
    bh_cells_advance(plant, flow->pack_a, dt_s);
    bh_thermal_advance(plant, dt_s);
    const double r_ohm = plant->pack.source.r_ohm[flow->pack_a < 0.0 ? BH_CHARGE : BH_DISCHARGE];
    plant->truth.pack_v = plant->pack.source.emf_v - r_ohm * flow->pack_a;
    fill_truth(plant, controls, flow);
}

/* One step of dt_s. now_ns is the start of the step. */
void bh_plant_step(bh_plant *plant, const bh_controls *controls, const bh_heard *heard, uint64_t now_ns, double dt_s) {
    const bh_demand demand = bh_plant_prepare(plant, controls, heard, now_ns, dt_s);
    const bh_flow flow = bh_pack_flow(plant, &demand);
    bh_plant_finish(plant, controls, &flow, dt_s);
}

const bh_truth *bh_plant_truth(const bh_plant *plant) {
    return &plant->truth;
}

/* Mean; the spread is kept; dynamic states go to rest. */
void bh_plant_set_soc(bh_plant *plant, double soc) {
    bh_cells *cells = &plant->cells;
    const double shift = soc - plant->truth.soc_mean;
    cells->base_sum = 0.0;
    for (int32_t i = 0; i < cells->n; ++i) {
        const double drawn = cells->charge_c * cells->inverse_capacity[i];
        const double wanted = fmin(1.0, fmax(0.0, cells->base[i] - drawn + shift));
        cells->base[i] = wanted + drawn;
        cells->base_sum += cells->base[i];
    }
    bh_cells_at_rest(plant);
    plant->pack.source = bh_cells_source(cells, plant);
    bh_cells_advance(plant, 0.0, 0.0);
    plant->truth.pack_v = plant->pack.source.emf_v;
}
