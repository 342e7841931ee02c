/* SPDX-License-Identifier: Apache-2.0
 *
 * cells.c - the cells: charge, open-circuit voltage, hysteresis, resistance, own currents.
 * See plant.h for the form the terminal voltage is kept in. Filters snap to zero: none decays into denormal numbers.
 */
#include <math.h>
#include <string.h>

#include "cell_table.h"
#include "plant.h"

static const double REST_A = 1e-9; /* a filtered current below this is none */
static const double HOTTEST_DEGC = 200.0; /* beyond, the cell is on fire and its tables say nothing */
static const double SMALL = 0.02;  /* below this three terms of exp(-x) are exact to 1e-8 */

static double snap(double value) {
    return fabs(value) < REST_A ? 0.0 : value;
}

/* ---- one cell -------------------------------------------------------------------------------------------------- */

static void set_capacity(bh_cells *cells, int32_t i, double inverse_capacity) {
    const double step = inverse_capacity - cells->inverse_capacity[i];
    cells->base[i] += cells->charge_c * step; /* the state of charge stays */
    cells->base_sum += cells->charge_c * step;
    cells->inverse_capacity[i] = inverse_capacity;
    cells->inverse_capacity_sum += step;
}

static void decay_over(const bh_plant *plant, int64_t ticks, bh_decay *decay) {
    const bh_cells *cells = &plant->cells;
    if (ticks == cells->per_tick.ticks) {
        *decay = cells->per_tick;
    } else if (ticks == cells->per_round.ticks) {
        *decay = cells->per_round;
    } else {
        decay->ticks = ticks;
        decay->one = exp(-(double)ticks * cells->dt_s / plant->model.tau1_s);
        decay->two = exp(-(double)ticks * cells->dt_s / plant->model.tau2_s);
    }
}

/* The current only this cell carries takes its charge and moves its own RC states. */
static void account_leak(bh_plant *plant, int32_t i) {
    bh_cells *cells = &plant->cells;
    const int64_t ticks = cells->tick - cells->last_tick[i];
    const double leak_a = (double)cells->leak_a[i];
    const double leak_c = leak_a * (double)ticks * cells->dt_s;
    const double lost = leak_c * cells->inverse_capacity[i];
    cells->base[i] -= lost;
    cells->base_sum -= lost;
    bh_decay decay;
    decay_over(plant, ticks, &decay);
    cells->y1[i] = (float)snap(leak_a + ((double)cells->y1[i] - leak_a) * decay.one);
    cells->y2[i] = (float)snap(leak_a + ((double)cells->y2[i] - leak_a) * decay.two);

    const double moved_c = cells->charge_c - cells->last_charge_c[i] + leak_c;
    if (moved_c < 0.0 || moved_c > 0.0) {
        const double x = fabs(moved_c) * cells->inverse_capacity[i] * cells->inverse_hysteresis_soc;
        const double keep = x < SMALL ? 1.0 - x * (1.0 - 0.5 * x * (1.0 - x / 3.0)) : exp(-x);
        const double branch = moved_c > 0.0 ? -1.0 : 1.0;
        cells->h[i] = (float)(branch + ((double)cells->h[i] - branch) * keep);
    }
    cells->last_charge_c[i] = cells->charge_c;
    cells->last_tick[i] = cells->tick;
}

/* The form of one cell's terminal voltage (plant.h), in registers while it is worked out. */
typedef struct bh_form {
    float a;
    float rd;
    float rc;
    float k;
} bh_form;

static float terminal_of(const bh_cells *cells, bh_form form) {
    return form.a - form.rd * (float)cells->drive[BH_DISCHARGE] - form.rc * (float)cells->drive[BH_CHARGE];
}

/* Conductances across the cell, solved into the line; the current through them is the cell's own. */
static bh_form load_with_leak(bh_plant *plant, int32_t i, bh_form bare, float siemens, float inside_siemens) {
    bh_cells *cells = &plant->cells;
    const float pack_a = (float)cells->current_a;
    const float share = 1.0F / (1.0F + bare.rd * siemens);
    const float lag = (float)plant->model.r1_ratio * cells->y1[i] + (float)plant->model.r2_ratio * cells->y2[i];
    const bh_form form = {(bare.a - bare.rd * lag) * share, bare.rd * share, bare.rc * share, bare.k * share};
    const float terminal_v = terminal_of(cells, form);
    const float leak_a = terminal_v * siemens;
    const float own_rd = form.rd / share;
    cells->heat_w[i] = terminal_v * terminal_v * inside_siemens + own_rd * leak_a * (leak_a + 2.0F * pack_a);
    cells->leak_a[i] = leak_a;
    return form;
}

/* A terminal voltage held by a fault: the cell becomes an ideal source; effect.c compares with what it was before. */
static bh_form hold(bh_cells *cells, int32_t i, bh_form free, double hold_v) {
    const bh_form held = {(float)hold_v, 0.0F, 0.0F, 0.0F};
    cells->free_v[i] = terminal_of(cells, free) - cells->j[i] * (float)cells->current_a;
    cells->j[i] = 0.0F;
    return held;
}

static void refresh_cell(bh_plant *plant, int32_t i, uint8_t balancing) {
    bh_cells *cells = &plant->cells;
    const bh_distortion *bent = &plant->distortion;
    account_leak(plant, i);
    if (bent->cells_touched | cells->any_touched) {
        set_capacity(cells, i, cells->own_inverse_capacity[i] / bent->cell_capacity_factor[i]);
    }
    const double soc = cells->base[i] - cells->charge_c * cells->inverse_capacity[i];
    const double real_degc = plant->thermal.degc[i + 1];
    const double degc = real_degc < HOTTEST_DEGC ? real_degc : HOTTEST_DEGC;
    const int32_t s = bh_find_segment(cells, soc);
    const bh_segment *segment = &cells->segments[s];
    const bh_resistance r = bh_find_resistance(cells, s, soc, degc);
    const float x = (float)(soc - segment->soc);
    const float inside_x = soc < 0.0 ? 0.0F : soc > 1.0 ? (float)(1.0 - segment->soc) : x;
    const float entropy = segment->entropy + inside_x * segment->entropy_slope;
    const float hysteresis_v = cells->h[i] * (segment->hysteresis_v + inside_x * segment->hysteresis_slope);
    const float ocv_v = segment->ocv_v + x * segment->ocv_slope; /* beyond the table along its last slope */
    const float scale = cells->r_scale[i] * (float)bent->cell_r_factor[i];
    const bh_form bare = {
        (ocv_v > 0.0F ? ocv_v : 0.0F) + hysteresis_v + entropy * (float)(degc - plant->model.reference_temp_degc),
        r.discharge_ohm * scale,
        r.charge_ohm * scale,
        ocv_v > 0.0F ? segment->ocv_slope * (float)cells->inverse_capacity[i] : 0.0F,
    };
    cells->entropy[i] = entropy;
    cells->hysteresis_v[i] = hysteresis_v;
    cells->free_r[i] = r.discharge_ohm * cells->r_scale[i];
    cells->j[i] = (float)(plant->config.joint_ohm + bent->joint_extra_ohm[i]);
    const float inside_siemens = (float)(cells->self_siemens + bent->cell_leak_siemens[i]);
    const float siemens = inside_siemens + (balancing ? cells->balancing_siemens : 0.0F);
    bh_form form = load_with_leak(plant, i, bare, siemens, inside_siemens);
    if (bent->cell_hold_v[i] == bent->cell_hold_v[i]) { /* not NAN */
        form = hold(cells, i, form, bent->cell_hold_v[i]);
    }
    cells->a[i] = form.a + form.k * (float)(cells->charge_c - cells->group_charge_c[i / BH_LANES]);
    cells->rd[i] = form.rd;
    cells->rc[i] = form.rc;
    cells->k[i] = form.k;
    const double at_start = soc + cells->drift; /* as if all cells were looked up at the start of the round */
    cells->soc_min = at_start < cells->soc_min ? at_start : cells->soc_min;
    cells->soc_max = at_start > cells->soc_max ? at_start : cells->soc_max;
}

/* ---- groups ---------------------------------------------------------------------------------------------------- */

static int32_t group_end(const bh_cells *cells, int32_t group) {
    const int32_t end = (group + 1) * BH_LANES;
    return end < cells->n ? end : cells->n;
}

static void pad(bh_cells *cells) {
    const int32_t last = cells->n - 1;
    for (int32_t i = cells->n; i < cells->n_padded; ++i) {
        cells->a[i] = cells->a[last];
        cells->rd[i] = cells->rd[last];
        cells->rc[i] = cells->rc[last];
        cells->j[i] = cells->j[last];
        cells->k[i] = cells->k[last];
    }
}

static void sum_group(bh_cells *cells, int32_t group) {
    bh_sums now = {0};
    for (int32_t i = group * BH_LANES; i < group_end(cells, group); ++i) {
        now.a += (double)cells->a[i];
        now.rd += (double)cells->rd[i];
        now.rc += (double)cells->rc[i];
        now.j += (double)cells->j[i];
        now.k += (double)cells->k[i];
    }
    now.kq = now.k * cells->group_charge_c[group];
    bh_sums *before = &cells->group[group];
    cells->sums.a += now.a - before->a;
    cells->sums.rd += now.rd - before->rd;
    cells->sums.rc += now.rc - before->rc;
    cells->sums.j += now.j - before->j;
    cells->sums.k += now.k - before->k;
    cells->sums.kq += now.kq - before->kq;
    *before = now;
    if (group + 1 == cells->n_groups) {
        pad(cells);
    }
}

static void refresh_group(bh_plant *plant, int32_t group, const uint8_t *balancing) {
    bh_cells *cells = &plant->cells;
    cells->group_charge_c[group] = cells->charge_c;
    for (int32_t i = group * BH_LANES; i < group_end(cells, group); ++i) {
        refresh_cell(plant, i, balancing != NULL ? balancing[i] : 0);
    }
    sum_group(cells, group);
}

static void end_round(bh_cells *cells) {
    cells->next_group = 0;
    cells->last_round_charge_c = cells->round_charge_c;
    cells->round_charge_c = cells->charge_c;
    cells->drift = 0.0;
    cells->round_soc_min = cells->soc_min;
    cells->round_soc_max = cells->soc_max;
    cells->soc_min = HUGE_VAL;
    cells->soc_max = -HUGE_VAL;
}

/* Bits of a distortion that are not neutral; two cells at a time. */
typedef uint64_t bh_two __attribute__((vector_size(16), may_alias));

static inline bh_two bits_of(double value) {
    union {
        double value;
        uint64_t bits;
    } both = {value};
    return (bh_two){both.bits, both.bits};
}

static void find_bent(const bh_distortion *bent, int32_t group, uint64_t found[BH_LANES]) {
    const bh_two one = bits_of(1.0);
    const bh_two nan = bits_of(NAN);
    const int32_t first = group * BH_LANES;
    const bh_two *hold_v = (const bh_two *)(bent->cell_hold_v + first);
    const bh_two *leak = (const bh_two *)(bent->cell_leak_siemens + first);
    const bh_two *r = (const bh_two *)(bent->cell_r_factor + first);
    const bh_two *capacity = (const bh_two *)(bent->cell_capacity_factor + first);
    const bh_two *joint = (const bh_two *)(bent->joint_extra_ohm + first);
    bh_two *out = (bh_two *)found;
    for (int t = 0; t < BH_LANES / 2; ++t) {
        out[t] = (hold_v[t] ^ nan) | leak[t] | (r[t] ^ one) | (capacity[t] ^ one) | joint[t];
    }
}

static int refresh_touched_group(bh_plant *plant, int32_t group, const uint8_t *balancing) {
    bh_cells *cells = &plant->cells;
    _Alignas(16) uint64_t bent[BH_LANES];
    find_bent(&plant->distortion, group, bent);
    uint64_t any = 0;
    for (int l = 0; l < BH_LANES; ++l) {
        any |= bent[l] | cells->touched[group * BH_LANES + l];
    }
    if (any == 0) {
        return 0;
    }
    int still = 0;
    for (int32_t i = group * BH_LANES; i < group_end(cells, group); ++i) {
        const uint8_t now = bent[i % BH_LANES] != 0;
        if (now | cells->touched[i]) {
            refresh_cell(plant, i, balancing != NULL ? balancing[i] : 0);
        }
        cells->touched[i] = now;
        still |= now;
    }
    sum_group(cells, group);
    return still;
}

/* Cells that faults bend now, or bent in the last tick, are looked up in every tick. */
static void refresh_touched(bh_plant *plant, const uint8_t *balancing) {
    int any = 0;
    for (int32_t group = 0; group < plant->cells.n_groups; ++group) {
        any |= refresh_touched_group(plant, group, balancing);
    }
    plant->cells.any_touched = any;
}

/* ---- interface ------------------------------------------------------------------------------------------------- */

/* The decays of the RC pairs over one tick and over one round of look-ups. */
void bh_cells_use_dt(bh_plant *plant, double dt_s) {
    bh_cells *cells = &plant->cells;
    if (dt_s < cells->dt_s || dt_s > cells->dt_s) {
        cells->dt_s = dt_s;
        cells->per_tick.ticks = 0;
        cells->per_round.ticks = 0;
        bh_decay decay;
        decay_over(plant, 1, &decay);
        cells->per_tick = decay;
        decay_over(plant, cells->n_groups, &decay);
        cells->per_round = decay;
    }
}

/* Look up the next group and the cells that faults bend. */
void bh_cells_refresh(bh_plant *plant, const uint8_t *balancing, double dt_s) {
    bh_cells *cells = &plant->cells;
    bh_cells_use_dt(plant, dt_s);
    refresh_group(plant, cells->next_group, balancing);
    if (++cells->next_group == cells->n_groups) {
        end_round(cells);
    }
    if (plant->distortion.cells_touched | cells->any_touched) {
        refresh_touched(plant, balancing);
    }
}

void bh_cells_refresh_every(bh_plant *plant, const uint8_t *balancing) {
    end_round(&plant->cells);
    for (int32_t group = 0; group < plant->cells.n_groups; ++group) {
        refresh_group(plant, group, balancing);
    }
    end_round(&plant->cells);
}

void bh_cells_refresh_all(bh_plant *plant) {
    bh_cells_refresh_every(plant, NULL);
}

/* All dynamic states to rest at the present state of charge. */
void bh_cells_at_rest(bh_plant *plant) {
    bh_cells *cells = &plant->cells;
    memset(cells->x1, 0, sizeof cells->x1);
    memset(cells->x2, 0, sizeof cells->x2);
    memset(cells->drive, 0, sizeof cells->drive);
    cells->current_a = 0.0;
    for (int32_t i = 0; i < cells->n; ++i) {
        cells->h[i] = cells->leak_a[i] = cells->y1[i] = cells->y2[i] = 0.0F;
        cells->last_charge_c[i] = cells->charge_c;
        cells->last_tick[i] = cells->tick;
    }
    bh_cells_refresh_all(plant);
}

/* The battery at the end of a step with constant current, RC pairs and charge of the step included. */
bh_source bh_cells_source(const bh_cells *cells, const bh_plant *plant) {
    const double r1 = plant->model.r1_ratio;
    const double r2 = plant->model.r2_ratio;
    const double a1 = cells->per_tick.one;
    const double a2 = cells->per_tick.two;
    const bh_sums *sums = &cells->sums;
    const double common_ohm = sums->j + plant->config.joint_ohm + sums->k * cells->dt_s;
    const double share = 1.0 + r1 * (1.0 - a1) + r2 * (1.0 - a2);
    bh_source source;
    source.r_ohm[BH_DISCHARGE] = sums->rd * share + common_ohm;
    source.r_ohm[BH_CHARGE] = sums->rc * share + common_ohm;
    source.emf_v = sums->a - (sums->k * cells->charge_c - sums->kq) -
                   sums->rd * (r1 * a1 * cells->x1[BH_DISCHARGE] + r2 * a2 * cells->x2[BH_DISCHARGE]) -
                   sums->rc * (r1 * a1 * cells->x1[BH_CHARGE] + r2 * a2 * cells->x2[BH_CHARGE]);
    return source;
}

static void advance_drive(bh_plant *plant, double current_a) {
    bh_cells *cells = &plant->cells;
    const double part[2] = {current_a > 0.0 ? current_a : 0.0, current_a < 0.0 ? current_a : 0.0};
    for (int d = BH_DISCHARGE; d <= BH_CHARGE; ++d) {
        cells->x1[d] = snap(part[d] + (cells->x1[d] - part[d]) * cells->per_tick.one);
        cells->x2[d] = snap(part[d] + (cells->x2[d] - part[d]) * cells->per_tick.two);
        cells->drive[d] = part[d] + plant->model.r1_ratio * cells->x1[d] + plant->model.r2_ratio * cells->x2[d];
    }
}

/* Carry the current through the step; voltages are those at its end. */
void bh_cells_advance(bh_plant *plant, double current_a, double dt_s) {
    bh_cells *cells = &plant->cells;
    bh_truth *truth = &plant->truth;
    cells->current_a = current_a;
    cells->charge_c += current_a * dt_s;
    cells->tick += dt_s > 0.0;
    if (dt_s > 0.0) {
        advance_drive(plant, current_a);
    }
    bh_cells_terminal(cells, truth);
    const double mean_inverse = cells->inverse_capacity_sum / cells->n;
    truth->soc_per_c = mean_inverse;
    const double drift = (cells->charge_c - cells->last_round_charge_c) * mean_inverse;
    cells->drift = (cells->charge_c - cells->round_charge_c) * mean_inverse;
    truth->soc_mean = (cells->base_sum - cells->charge_c * cells->inverse_capacity_sum) / cells->n;
    truth->soc_min = cells->round_soc_min - drift;
    truth->soc_max = cells->round_soc_max - drift;
}
