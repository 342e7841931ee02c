/* SPDX-License-Identifier: Apache-2.0
 *
 * cell_table.h - looking values up in the tables of a cell type. Inline: this is the hottest scalar code of the kernel.
 */
#ifndef BH_CELL_TABLE_H
#define BH_CELL_TABLE_H

#include "plant.h"

static inline int32_t bh_find_segment(const bh_cells *cells, double soc) {
    const double place = soc * BH_N_HINTS;
    int32_t s = cells->hint[place >= BH_N_HINTS - 1 ? BH_N_HINTS - 1 : place > 0.0 ? (int32_t)place : 0];
    while (s + 1 < cells->n_segments && soc >= cells->segments[s].end_soc) {
        ++s;
    }
    return s;
}

/* R0 between four points of the table; outside it the nearest edge. */
static inline bh_resistance bh_find_resistance(const bh_cells *cells, int32_t s, double soc, double degc) {
    const bh_segment *segment = &cells->segments[s];
    float x = (float)(soc - segment->soc) * segment->inverse_width;
    x = x < 0.0F ? 0.0F : x > 1.0F ? 1.0F : x;
    int32_t t = 0;
    float y = 0.0F;
    if (cells->n_temp > 1) {
        while (t + 2 < cells->n_temp && degc >= cells->table_degc[t + 1]) {
            ++t;
        }
        y = (float)(degc - cells->table_degc[t]) * cells->inverse_step_k[t];
        y = y < 0.0F ? 0.0F : y > 1.0F ? 1.0F : y;
    }
    const int32_t n_soc = cells->n_segments + 1;
    const bh_resistance *low = &cells->resistance[t * n_soc + s];
    const bh_resistance *high = cells->n_temp > 1 ? low + n_soc : low;
    const float ld = low[0].discharge_ohm + x * (low[1].discharge_ohm - low[0].discharge_ohm);
    const float hd = high[0].discharge_ohm + x * (high[1].discharge_ohm - high[0].discharge_ohm);
    const float lc = low[0].charge_ohm + x * (low[1].charge_ohm - low[0].charge_ohm);
    const float hc = high[0].charge_ohm + x * (high[1].charge_ohm - high[0].charge_ohm);
    const bh_resistance found = {ld + y * (hd - ld), lc + y * (hc - lc)};
    return found;
}

#endif
