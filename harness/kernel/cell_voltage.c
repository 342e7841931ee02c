/* SPDX-License-Identifier: Apache-2.0
 *
 * cell_voltage.c - the terminal voltage of every cell in every tick, and the highest and the lowest of them.
 */
#include <float.h>

#include "plant.h"

/* First cell with a value; the last answer is tried first. Counts from 1. */
static int32_t index_of(const float *v, float value, int32_t n, int32_t last) {
    if (last >= 1 && last <= n && !(v[last - 1] < value) && !(v[last - 1] > value)) {
        return last;
    }
    int32_t i = 0;
    while (i + 1 < n && (v[i] < value || v[i] > value)) {
        ++i;
    }
    return i + 1;
}

/* Four cells at a time; gcc and clang turn these into the vector instructions of the machine. */
typedef float bh_four __attribute__((vector_size(16), may_alias));
typedef int32_t bh_mask __attribute__((vector_size(16)));

static inline bh_four pick(bh_mask mask, bh_four yes, bh_four no) {
    return (bh_four)((mask & (bh_mask)yes) | (~mask & (bh_mask)no));
}

static inline bh_four all(float value) {
    return (bh_four){value, value, value, value};
}

typedef struct bh_extremes {
    bh_four high;
    bh_four low;
} bh_extremes;

static void terminal_voltages(bh_cells *cells, bh_extremes *extremes) {
    const bh_four *a = (const bh_four *)cells->a;
    const bh_four *rd = (const bh_four *)cells->rd;
    const bh_four *rc = (const bh_four *)cells->rc;
    const bh_four *j = (const bh_four *)cells->j;
    const bh_four *k = (const bh_four *)cells->k;
    bh_four *v = (bh_four *)cells->v;
    const bh_four drive_d = all((float)cells->drive[BH_DISCHARGE]);
    const bh_four drive_c = all((float)cells->drive[BH_CHARGE]);
    const bh_four current_a = all((float)cells->current_a);
    bh_four high = all(-FLT_MAX);
    bh_four low = all(FLT_MAX);
    for (int32_t group = 0; group < cells->n_groups; ++group) {
        const bh_four dq = all((float)(cells->charge_c - cells->group_charge_c[group]));
        for (int32_t f = group * BH_FOURS; f < (group + 1) * BH_FOURS; ++f) {
            const bh_four now = a[f] - rd[f] * drive_d - rc[f] * drive_c - j[f] * current_a - k[f] * dq;
            v[f] = now;
            high = pick(now > high, now, high);
            low = pick(now < low, now, low);
        }
    }
    extremes->high = high;
    extremes->low = low;
}

/* Terminal voltages at the end of the step and their extremes. */
void bh_cells_terminal(bh_cells *cells, bh_truth *truth) {
    bh_extremes found;
    terminal_voltages(cells, &found);
    float high = found.high[0];
    float low = found.low[0];
    for (int l = 1; l < 4; ++l) {
        high = found.high[l] > high ? found.high[l] : high;
        low = found.low[l] < low ? found.low[l] : low;
    }
    truth->cell_v_max = high;
    truth->cell_v_min = low;
    truth->cell_v_max_index = index_of(cells->v, high, cells->n, truth->cell_v_max_index);
    truth->cell_v_min_index = index_of(cells->v, low, cells->n, truth->cell_v_min_index);
}
