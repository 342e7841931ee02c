/* SPDX-License-Identifier: Apache-2.0
 *
 * thermal.c - heat: losses of R0 and both RC pairs, hysteresis, reaction (entropy), own currents and faults; cooling,
 * ambient and neighbour conduction. One explicit step every 100 ms, or more often where the cells are light.
 */
#include <math.h>
#include <string.h>

#include "plant.h"

static const double STEP_S = 0.1;
static const double STABLE = 0.2; /* share of a time constant an explicit step may cover */
static const double KELVIN = 273.15;
static const double SHADOW_K = 1e-9; /* a smaller deviation is none: no denormal numbers */

/* Ticks between two steps. Where even one tick is long against the time constant of a cell, its conductances are scaled
 * down to what an explicit step can follow: such a cell sits at the temperature of its surroundings anyway. */
static int32_t ticks_per_step(bh_pack_config *pack, double tick_s) {
    const double loss = pack->cooling_w_per_k + pack->ambient_w_per_k + 4.0 * pack->neighbour_w_per_k;
    const double stable_s = loss > 0.0 ? STABLE * pack->heat_capacity_j_per_k / loss : STEP_S;
    if (stable_s < tick_s) {
        pack->cooling_w_per_k *= stable_s / tick_s;
        pack->ambient_w_per_k *= stable_s / tick_s;
        pack->neighbour_w_per_k *= stable_s / tick_s;
        return 1;
    }
    const double step_s = stable_s < STEP_S ? stable_s : STEP_S;
    const double ticks = step_s / tick_s + 1e-9;
    return ticks < 1.0 ? 1 : (int32_t)ticks;
}

static void find_extremes(bh_plant *plant) {
    const float *degc = plant->thermal.out_degc;
    bh_truth *truth = &plant->truth;
    int32_t high = 0;
    float low = degc[0];
    for (int32_t i = 1; i < plant->config.n_cells; ++i) {
        high = degc[i] > degc[high] ? i : high;
        low = degc[i] < low ? degc[i] : low;
    }
    truth->cell_degc_max = degc[high];
    truth->cell_degc_min = low;
    truth->cell_degc_max_index = high + 1;
}

static void close_ends(double *degc, int32_t n) {
    degc[0] = degc[1];
    degc[n + 1] = degc[n];
}

static void publish(bh_plant *plant) {
    bh_thermal *thermal = &plant->thermal;
    for (int32_t i = 0; i < plant->config.n_cells; ++i) {
        thermal->out_degc[i] = (float)thermal->degc[i + 1];
    }
    find_extremes(plant);
}

void bh_thermal_create(bh_plant *plant, bh_arena *arena, const bh_config *config) {
    const int32_t n = config->pack.n_cells;
    bh_thermal local = {0};
    local.degc = bh_take(arena, (size_t)(n + 2) * sizeof(double));
    local.next = bh_take(arena, (size_t)(n + 2) * sizeof(double));
    local.shadow = bh_take(arena, (size_t)(n + 2) * sizeof(double));
    local.source_w = bh_take(arena, (size_t)n * sizeof(double));
    local.out_degc = bh_take(arena, (size_t)n * sizeof(float));
    if (plant == NULL) {
        return;
    }
    local.every = ticks_per_step(&plant->config, (double)config->tick_us * 1e-6);
    memcpy(local.degc + 1, config->pack.temp_degc, (size_t)n * sizeof(double));
    close_ends(local.degc, n);
    plant->thermal = local;
    plant->truth.cell_degc = local.out_degc;
    publish(plant);
}

/* Mean heat of every cell since the last step. */
static void gather_heat(bh_plant *plant) {
    const bh_cells *cells = &plant->cells;
    bh_thermal *thermal = &plant->thermal;
    const double per_s = 1.0 / thermal->elapsed_s;
    const double d = thermal->drive_a2s[BH_DISCHARGE] * per_s;
    const double c = thermal->drive_a2s[BH_CHARGE] * per_s;
    const double j = thermal->joint_a2s * per_s;
    const double current_a = thermal->charge_c * per_s;
    const double *restrict degc = thermal->degc + 1;
    double *restrict source_w = thermal->source_w;
    const float *restrict rd = cells->rd;
    const float *restrict rc = cells->rc;
    const float *restrict joint = cells->j;
    const float *restrict heat_w = cells->heat_w;
    const float *restrict hysteresis_v = cells->hysteresis_v;
    const float *restrict entropy = cells->entropy;
    for (int32_t i = 0; i < cells->n; ++i) {
        const double reversible_v = (double)hysteresis_v[i] + (double)entropy[i] * (degc[i] + KELVIN);
        source_w[i] = (double)rd[i] * d + (double)rc[i] * c + (double)joint[i] * j + (double)heat_w[i] -
                      current_a * reversible_v;
    }
    if (plant->distortion.cells_touched) {
        for (int32_t i = 0; i < cells->n; ++i) {
            source_w[i] += plant->distortion.cell_heat_w[i];
        }
    }
}

/* One explicit step of the chain; bath_w is the heat flow from the two baths into a cell at 0 degC. */
static void conduct(const bh_plant *plant, const double *restrict degc, double *restrict next, double cooling_w_per_k,
                    double bath_w) {
    const double *restrict source_w = plant->thermal.source_w;
    const double scale = plant->thermal.elapsed_s / plant->config.heat_capacity_j_per_k;
    const double loss = cooling_w_per_k + plant->config.ambient_w_per_k;
    const double neighbour = plant->config.neighbour_w_per_k;
    for (int32_t i = 1; i <= plant->config.n_cells; ++i) {
        const double flow_w = source_w[i - 1] + bath_w - loss * degc[i] +
                              neighbour * (degc[i - 1] + degc[i + 1] - 2.0 * degc[i]);
        next[i] = degc[i] + scale * flow_w;
    }
}

/* How far faults alone have moved every cell: the same chain, driven by the difference they make. */
static void step_shadow(bh_plant *plant, double flow, double ambient_shift_k, double coolant_shift_k) {
    bh_thermal *thermal = &plant->thermal;
    const bh_pack_config *pack = &plant->config;
    const double lost_w_per_k = pack->cooling_w_per_k * (1.0 - flow);
    for (int32_t i = 0; i < plant->config.n_cells; ++i) {
        thermal->source_w[i] = plant->distortion.cell_heat_w[i] + pack->ambient_w_per_k * ambient_shift_k +
                               pack->cooling_w_per_k * flow * coolant_shift_k +
                               lost_w_per_k * (thermal->degc[i + 1] - pack->coolant_degc);
    }
    conduct(plant, thermal->shadow, thermal->next, pack->cooling_w_per_k, 0.0);
    thermal->shadowed = 0;
    for (int32_t i = 1; i <= plant->config.n_cells; ++i) {
        const double now = fabs(thermal->next[i]) < SHADOW_K ? 0.0 : thermal->next[i];
        thermal->shadow[i] = now;
        thermal->shadowed |= now > 0.0 || now < 0.0;
    }
    close_ends(thermal->shadow, plant->config.n_cells);
}

static void step(bh_plant *plant) {
    bh_thermal *thermal = &plant->thermal;
    const bh_distortion *bent = &plant->distortion;
    const bh_pack_config *pack = &plant->config;
    const double ambient_degc = BH_PICK(bent->ambient_degc, pack->ambient_degc);
    const double coolant_degc = BH_PICK(bent->ambient_degc, pack->coolant_degc);
    const double cooling = pack->cooling_w_per_k * bent->coolant_flow;
    gather_heat(plant);
    const double bath_w = cooling * coolant_degc + pack->ambient_w_per_k * ambient_degc;
    conduct(plant, thermal->degc, thermal->next, cooling, bath_w);
    double *before = thermal->degc;
    thermal->degc = thermal->next;
    thermal->next = before;
    close_ends(thermal->degc, plant->config.n_cells);
    plant->truth.coolant_degc = coolant_degc;
    const double ambient_k = ambient_degc - pack->ambient_degc;
    const double coolant_k = coolant_degc - pack->coolant_degc;
    const int bent_now = bent->cells_touched || bent->coolant_flow < 1.0 || bent->coolant_flow > 1.0 ||
                         fabs(ambient_k) + fabs(coolant_k) > 0.0;
    if (bent_now || thermal->shadowed) {
        step_shadow(plant, bent->coolant_flow, ambient_k, coolant_k);
    }
    publish(plant);
}

/* Mean; the spread is kept. */
void bh_plant_set_temperature(bh_plant *plant, double degc) {
    bh_thermal *thermal = &plant->thermal;
    const int32_t n = plant->config.n_cells;
    double sum = 0.0;
    for (int32_t i = 1; i <= n; ++i) {
        sum += thermal->degc[i];
    }
    for (int32_t i = 1; i <= n; ++i) {
        thermal->degc[i] += degc - sum / (double)n;
    }
    close_ends(thermal->degc, n);
    publish(plant);
}

/* Collect the losses of this tick; every so many ticks move the temperatures. */
void bh_thermal_advance(bh_plant *plant, double dt_s) {
    bh_thermal *thermal = &plant->thermal;
    const bh_cells *cells = &plant->cells;
    const double current_a = cells->current_a;
    const double square = current_a * current_a;
    for (int d = BH_DISCHARGE; d <= BH_CHARGE; ++d) {
        const double ohmic = (d == BH_DISCHARGE) == (current_a > 0.0) ? square : 0.0;
        thermal->drive_a2s[d] += dt_s * (ohmic + plant->model.r1_ratio * cells->x1[d] * cells->x1[d] +
                                         plant->model.r2_ratio * cells->x2[d] * cells->x2[d]);
    }
    thermal->joint_a2s += dt_s * square;
    thermal->charge_c += dt_s * current_a;
    thermal->elapsed_s += dt_s;
    if (++thermal->ticks >= thermal->every) {
        step(plant);
        thermal->ticks = 0;
        thermal->elapsed_s = 0.0;
        thermal->joint_a2s = thermal->charge_c = 0.0;
        thermal->drive_a2s[BH_DISCHARGE] = thermal->drive_a2s[BH_CHARGE] = 0.0;
    }
}
