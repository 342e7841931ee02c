/* SPDX-License-Identifier: Apache-2.0
 *
 * stride.c - the plant in long steps, where contactors, limits and load stand still (soak.c). The equations are those of
 * plant.c: filters are exact over any step with constant current. Between steps all cells are looked up, so that none is
 * extrapolated further than one of them.
 */
#include <math.h>

#include "plant.h"

void bh_plant_stride(bh_plant *plant, const bh_controls *controls, const bh_heard *heard, uint64_t now_ns,
                     double dt_s) {
    bh_cells_refresh_every(plant, controls->balancing); /* what has passed in the steps before, at their length */
    plant->thermal.ticks = plant->thermal.every - 1;    /* temperatures move in every step */
    bh_plant_step(plant, controls, heard, now_ns, dt_s);
}

void bh_plant_end_stride(bh_plant *plant, const bh_controls *controls, double tick_s) {
    bh_cells_refresh_every(plant, controls->balancing);
    bh_cells_use_dt(plant, tick_s);
    plant->pack.dt_s = tick_s;
}

int bh_plant_settled(const bh_plant *plant, const bh_heard *heard, uint32_t commands) {
    const uint32_t bits[BH_N_CONTACTORS] = {FIL_OUT_POSITIVE, FIL_OUT_NEGATIVE, FIL_OUT_PRECHARGE};
    for (int c = 0; c < BH_N_CONTACTORS; ++c) {
        const bh_contactor *contactor = &plant->pack.contactors[c];
        if (contactor->armature != ((commands & bits[c]) != 0) || contactor->waiting_s > 0.0) {
            return 0;
        }
    }
    return bh_environment_settled(plant, heard);
}
