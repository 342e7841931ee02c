/* SPDX-License-Identifier: Apache-2.0
 *
 * seeded_step.c - seeded defects that need a memory of the load before.
 */
#include "seeded_step.h"

#include "defect.h"
#include "measure.h"

#include <string.h>

#define STEP_MA 100000      /* more than floating and recharge carry */
#define FLOAT_MS 1000       /* as long as this without a load is floating */
#define SCAN_MS 100         /* between two sums of the cells */
#define HELD_MS 3000
#define SAG_UV 50000        /* a fall of a cell from one task to the next that is taken for a slope */
#define QUICK_MS 50

static struct {
    int32_t float_ms;
    int32_t loaded_ms;
    int32_t quick_ms; /* of the over-current timer run ahead */
    int32_t scan_ms;
    int32_t sum_mv;
    int32_t peak_mv;
    int32_t peak_ms;
    int32_t before_uv;
    int32_t ahead_uv;
    int32_t ahead_ms;
    bool used; /* the pack has carried the load */
} seen;

void seeded_step_init(void) {
    (void)memset(&seen, 0, sizeof seen);
}

static void follow_load(void) {
    const bool loaded = measured->q[Q_CURRENT_MA] > STEP_MA;
    if (loaded && (seen.float_ms >= FLOAT_MS)) {
        seen.quick_ms = HELD_MS;
    }
    seen.float_ms = loaded ? 0 : bms_min(seen.float_ms + (int32_t)BMS_FAST_MS, FLOAT_MS);
    seen.loaded_ms = loaded ? bms_min(seen.loaded_ms + (int32_t)BMS_FAST_MS, HELD_MS) : 0;
    seen.quick_ms = bms_max(seen.quick_ms - (int32_t)BMS_FAST_MS, 0);
    seen.used = seen.used || (seen.loaded_ms >= FLOAT_MS);
}

/* The pack voltage of now against the sum of the last scan, and the worst of it kept. */
static void hold_mismatch(void) {
    const int32_t difference = measured->pack_mv - seen.sum_mv;
    const int32_t mismatch = (difference < 0) ? -difference : difference;
    if ((seen.sum_mv > 0) && ((seen.peak_ms == 0) || (mismatch > seen.peak_mv))) {
        seen.peak_mv = mismatch;
        seen.peak_ms = HELD_MS;
    }
    seen.peak_ms = bms_max(seen.peak_ms - (int32_t)BMS_FAST_MS, 0);
    seen.scan_ms += (int32_t)BMS_FAST_MS;
    if ((seen.scan_ms >= SCAN_MS) || (seen.sum_mv == 0)) {
        seen.scan_ms = 0;
        seen.sum_mv = measured->cell_sum_mv;
    }
    measure_put(Q_MISMATCH_MV, seen.peak_mv);
}

/* A cell that falls is taken for one that goes on falling. */
static void look_ahead(void) {
    const int32_t now_uv = measured->q[Q_CELL_MIN_UV];
    const int32_t fall_uv = seen.before_uv - now_uv;
    if ((seen.before_uv > 0) && (fall_uv > SAG_UV)) {
        seen.ahead_uv = bms_max(now_uv - (10 * fall_uv), 0);
        seen.ahead_ms = FLOAT_MS;
    }
    seen.before_uv = now_uv;
    if (seen.ahead_ms > 0) {
        seen.ahead_ms -= (int32_t)BMS_FAST_MS;
        measure_put(Q_CELL_MIN_UV, bms_min(now_uv, seen.ahead_uv));
    }
}

void seeded_step(void) {
    if (DEFECT(220) || DEFECT(223) || DEFECT(224)) {
        follow_load();
    }
    if (DEFECT(221)) {
        hold_mismatch();
    }
    if (DEFECT(222)) {
        look_ahead();
    }
}

int32_t seeded_step_confirm_ms(int32_t confirm_ms) {
    return (DEFECT(220) && (seen.quick_ms > 0)) ? bms_min(confirm_ms, QUICK_MS) : confirm_ms;
}

int32_t seeded_step_charge_permille(int32_t permille) {
    return (DEFECT(223) && seen.used && (seen.loaded_ms == 0)) ? 0 : permille;
}

int32_t seeded_step_discharge_permille(int32_t permille) {
    return (DEFECT(224) && (seen.loaded_ms >= FLOAT_MS)) ? (permille / 2) : permille;
}
