/* SPDX-License-Identifier: Apache-2.0
 *
 * line.c - supervision of the overhead line of a trolleybus or tram.
 */
#include "line.h"

#include "can_queue.h"
#include "defect.h"
#include "measure.h"
#include "params.h"

#include <string.h>

#define ID_LINE 0x10AU
#define SLOT 4U /* of the ten in 100 ms */
#define FULL 1000
#define MV_PER_BIT 100
#define NONE_YET 0xFFFFU

/* As in the database. */
enum { LINE_UNKNOWN = 0, LINE_OFF, LINE_LIVE, LINE_DEAD, LINE_HIGH, LINE_FED };

static struct {
    bool known; /* a good VCU_Line has come since boot */
    bool on;    /* the poles are on the line */
    int32_t mv; /* at the poles */
} overhead;

void line_init(void) {
    (void)memset(&overhead, 0, sizeof overhead);
}

void line_take(const uint8_t *data) {
    const uint32_t raw = (uint32_t)data[2] | ((uint32_t)data[3] << 8U);
    overhead.known = true;
    overhead.on = (data[1] & 0x10U) != 0U;
    overhead.mv = (int32_t)raw * MV_PER_BIT;
}

static int32_t state(void) {
    if (!overhead.known) {
        return LINE_UNKNOWN;
    }
    if (!overhead.on) {
        return (overhead.mv > params->pole_feed_mv) ? LINE_FED : LINE_OFF;
    }
    if (overhead.mv < params->line_low_mv) {
        return DEFECT(205) ? LINE_OFF : LINE_DEAD;
    }
    return (overhead.mv > params->line_over_warn_mv) ? LINE_HIGH : LINE_LIVE;
}

void line_step(int32_t age_ms) {
    if (params->line_supervised == 0) {
        return;
    }
    const int32_t stray_mv = DEFECT(208) ? (params->pole_feed_mv + 1) : overhead.mv;
    measure_put(Q_LINE_AGE_MS, DEFECT(203) ? 0 : age_ms);
    if (!overhead.known) {
        return;
    }
    measure_put(Q_LINE_MV, DEFECT(200) ? bms_min(overhead.mv, params->line_over_trip_mv) : overhead.mv);
    measure_put(Q_POLE_FEED_MV, (overhead.on || DEFECT(202)) ? 0 : stray_mv);
    measure_put(Q_LINE_DEAD, (state() == LINE_DEAD) ? 1 : 0);
}

/* A line that can take what braking gives back leaves the pack room for the time when it cannot. */
int32_t line_charge_permille(int32_t soc_permille) {
    const bool live = (state() == LINE_LIVE) || DEFECT(207);
    if ((params->line_supervised == 0) || !live || DEFECT(206)) {
        return FULL;
    }
    const int32_t left = params->line_soc_zero_permille - soc_permille;
    const int32_t width = params->line_soc_zero_permille - params->line_soc_full_permille;
    if (left <= 0) {
        return 0;
    }
    return (left >= width) ? FULL : ((left * FULL) / width);
}

void line_send(uint32_t slot) {
    if ((params->line_supervised == 0) || ((slot % BMS_FAST_PER_SLOW) != SLOT)) {
        return;
    }
    /* Rounding is no question: it is told as it was heard. */
    const int32_t told = overhead.known ? (overhead.mv / MV_PER_BIT) : (int32_t)NONE_YET;
    const uint64_t word = can_field(told, DEFECT(209) ? 13U : 16U, 0U) | can_flag(overhead.on, 16U) | can_field(state(), 3U, 20U);
    can_queue_put(ID_LINE, word);
}
