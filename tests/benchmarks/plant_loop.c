/* SPDX-License-Identifier: Apache-2.0
 *
 * plant_loop.c - the plant alone in a bare loop, for tests/benchmarks/plant.py. The step comes in as a pointer, so that
 * this file needs no kernel to link against.
 */
#include "internal.h"

typedef void (*bh_step)(bh_plant *, const bh_controls *, const bh_heard *, uint64_t, double);

void bh_plant_loop(bh_step step, bh_plant *plant, const bh_controls *controls, const bh_heard *heard, uint64_t tick_ns,
                   int64_t ticks) {
    const double dt_s = (double)tick_ns * 1e-9;
    for (int64_t i = 0; i < ticks; ++i) {
        step(plant, controls, heard, (uint64_t)i * tick_ns, dt_s);
    }
}
