/* SPDX-License-Identifier: Apache-2.0
 *
 * cell_create.c - the cells laid out in the arena, with the tables in the form they are looked up in.
 */
#include "plant.h"

enum { SECONDS_PER_HOUR = 3600 };

static void fill_segments(bh_cells *cells, const bh_cell_model *model) {
    for (int32_t s = 0; s < cells->n_segments; ++s) {
        const double width = model->soc[s + 1] - model->soc[s];
        bh_segment *segment = &cells->segments[s];
        segment->soc = model->soc[s];
        segment->end_soc = model->soc[s + 1];
        segment->inverse_width = (float)(1.0 / width);
        segment->ocv_v = (float)model->ocv_v[s];
        segment->ocv_slope = (float)((model->ocv_v[s + 1] - model->ocv_v[s]) / width);
        segment->hysteresis_v = (float)model->hysteresis_v[s];
        segment->hysteresis_slope = (float)((model->hysteresis_v[s + 1] - model->hysteresis_v[s]) / width);
        segment->entropy = (float)model->entropy_v_per_k[s];
        segment->entropy_slope = (float)((model->entropy_v_per_k[s + 1] - model->entropy_v_per_k[s]) / width);
    }
    int32_t s = 0;
    for (int32_t i = 0; i < BH_N_HINTS; ++i) {
        while (s + 1 < cells->n_segments && cells->segments[s].end_soc <= (double)i / BH_N_HINTS) {
            ++s;
        }
        cells->hint[i] = (uint16_t)s;
    }
}

static void fill_resistance(bh_cells *cells, const bh_cell_model *model) {
    const int32_t n_soc = cells->n_segments + 1;
    for (int32_t t = 0; t < cells->n_temp; ++t) {
        cells->table_degc[t] = model->temp_degc[t];
        if (t + 1 < cells->n_temp) {
            cells->inverse_step_k[t] = (float)(1.0 / (model->temp_degc[t + 1] - model->temp_degc[t]));
        }
        for (int32_t s = 0; s < n_soc; ++s) {
            cells->resistance[t * n_soc + s].discharge_ohm = (float)model->r0_discharge_ohm[t * n_soc + s];
            cells->resistance[t * n_soc + s].charge_ohm = (float)model->r0_charge_ohm[t * n_soc + s];
        }
    }
}

static void take_arrays(bh_cells *cells, bh_arena *arena, const bh_config *config) {
    const size_t n = (size_t)config->pack.n_cells;
    const size_t groups = (n + BH_LANES - 1) / BH_LANES;
    const size_t points = (size_t)config->cell.n_soc;
    cells->segments = bh_take(arena, (points - 1) * sizeof *cells->segments);
    cells->resistance = bh_take(arena, points * (size_t)config->cell.n_temp * sizeof *cells->resistance);
    cells->table_degc = bh_take(arena, (size_t)config->cell.n_temp * sizeof(double));
    cells->inverse_step_k = bh_take(arena, (size_t)config->cell.n_temp * sizeof(float));
    double **doubles[] = {&cells->base, &cells->inverse_capacity, &cells->own_inverse_capacity, &cells->last_charge_c};
    for (size_t d = 0; d < sizeof doubles / sizeof doubles[0]; ++d) {
        *doubles[d] = bh_take(arena, n * sizeof(double));
    }
    float **floats[] = {&cells->v,  &cells->a,            &cells->rd,      &cells->rc,     &cells->j,
                        &cells->k,  &cells->r_scale,      &cells->h,       &cells->hysteresis_v, &cells->entropy,
                        &cells->leak_a, &cells->y1,       &cells->y2,      &cells->free_v, &cells->free_r,
                        &cells->heat_w};
    for (size_t f = 0; f < sizeof floats / sizeof floats[0]; ++f) {
        *floats[f] = bh_take(arena, groups * BH_LANES * sizeof(float));
    }
    cells->last_tick = bh_take(arena, n * sizeof(int64_t));
    cells->touched = bh_take(arena, groups * BH_LANES);
    cells->group = bh_take(arena, groups * sizeof *cells->group);
    cells->group_charge_c = bh_take(arena, groups * sizeof(double));
}

void bh_cells_create(bh_plant *plant, bh_arena *arena, const bh_config *config) {
    bh_cells local = {0};
    take_arrays(&local, arena, config);
    if (plant == NULL) {
        return;
    }
    bh_cells *cells = &plant->cells;
    *cells = local;
    cells->n = config->pack.n_cells;
    cells->n_groups = (cells->n + BH_LANES - 1) / BH_LANES;
    cells->n_padded = cells->n_groups * BH_LANES;
    cells->n_segments = config->cell.n_soc - 1;
    cells->n_temp = config->cell.n_temp;
    cells->inverse_hysteresis_soc = 1.0 / config->cell.hysteresis_soc;
    cells->self_siemens = 1.0 / config->pack.self_discharge_ohm;
    cells->balancing_siemens = (float)(1.0 / config->pack.balancing_ohm);
    fill_segments(cells, &config->cell);
    fill_resistance(cells, &config->cell);
    for (int32_t i = 0; i < cells->n; ++i) {
        cells->base[i] = config->pack.soc[i];
        cells->own_inverse_capacity[i] = 1.0 / (config->pack.capacity_ah[i] * SECONDS_PER_HOUR);
        cells->inverse_capacity[i] = cells->own_inverse_capacity[i];
        cells->base_sum += cells->base[i];
        cells->inverse_capacity_sum += cells->inverse_capacity[i];
        cells->r_scale[i] = (float)config->pack.r_scale[i];
    }
    plant->truth.cell_v = cells->v;
    bh_cells_use_dt(plant, (double)config->tick_us * 1e-6);
}
