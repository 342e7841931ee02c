/* SPDX-License-Identifier: Apache-2.0
 *
 * thermal.c - rise over a window of 3 s from samples kept every 100 ms.
 *
 * Two signatures of a runaway: a sensor rises fast while a cell is hot, or while the lowest cell voltage has collapsed
 * within the window.
 */
#include "thermal.h"

#include "defect.h"
#include "measure.h"
#include "params.h"

#include <string.h>

#define WINDOW_S 3
#define WINDOW (WINDOW_S * 1000 / (int32_t)BMS_SLOW_MS) /* samples back to the start of the window */
#define STEP_MK 10             /* resolution of the samples: 0.01 K in 16 bits */
#define NO_SAMPLE INT16_MIN
#define DROP_OFF 1000 /* permille */

static struct {
    int16_t sample[WINDOW][BMS_MAX_TEMPS];
    int32_t lowest_cell_uv[WINDOW];
    uint32_t next;
    int32_t rise_mk_per_s;
    bool passed;
} thermal;

void thermal_init(void) {
    (void)memset(&thermal, 0, sizeof thermal);
    for (uint32_t w = 0U; w < (uint32_t)WINDOW; w++) {
        for (uint32_t i = 0U; i < BMS_MAX_TEMPS; i++) {
            thermal.sample[w][i] = NO_SAMPLE;
        }
    }
}

/* Puts the present samples in place of those 3 s old; returns the greatest rise among sensors valid at both ends. */
static int32_t exchange_samples(const bms_inputs *inputs, int16_t *sample) {
    int32_t rise = 0;
    for (uint32_t i = 0U; i < measured->n_temps; i++) {
        const int16_t before = sample[i];
        const int16_t now =
            measure_temp_valid(inputs, i) ? (int16_t)(inputs->temp_mdegc[i] / STEP_MK) : (int16_t)NO_SAMPLE;
        if ((before != NO_SAMPLE) && (now != NO_SAMPLE)) {
            rise = bms_max(rise, (int32_t)now - (int32_t)before);
        }
        sample[i] = now;
    }
    return rise * STEP_MK;
}

/* Whether the lowest cell voltage has lost more than the given share of itself since `before`. */
static bool voltage_collapsed(int32_t before_uv) {
    const bool off = params->runaway_drop_permille >= DROP_OFF; /* a cell that reads below 0 V has lost more than all */
    if (off || (before_uv <= 0) || ((measured->known & Q_BIT(Q_CELL_MIN_UV)) == 0U)) {
        return false;
    }
    const int64_t lost = (int64_t)before_uv - (int64_t)measured->q[Q_CELL_MIN_UV];
    return (lost * 1000) > ((int64_t)before_uv * params->runaway_drop_permille);
}

/* The whole window as it is now. */
static void fill_window(const bms_inputs *inputs) {
    for (uint32_t w = 0U; w < (uint32_t)WINDOW; w++) {
        (void)exchange_samples(inputs, thermal.sample[w]);
    }
    thermal.passed = false;
}

void thermal_pass(void) {
    thermal.passed = true;
}

void thermal_step(const bms_inputs *inputs) {
    if (thermal.passed) {
        fill_window(inputs);
    }
    const uint32_t slot = thermal.next;
    thermal.next = (slot + 1U) % (uint32_t)WINDOW;
    thermal.rise_mk_per_s = exchange_samples(inputs, thermal.sample[slot]) / (DEFECT(21) ? WINDOW : WINDOW_S);
    const bool collapsed = voltage_collapsed(thermal.lowest_cell_uv[slot]);
    const bool known_cell = (measured->known & Q_BIT(Q_CELL_MIN_UV)) != 0U;
    thermal.lowest_cell_uv[slot] = known_cell ? measured->q[Q_CELL_MIN_UV] : 0;
    const bool hot = ((measured->known & Q_BIT(Q_TEMP_MAX_MDEGC)) != 0U) &&
                     (measured->q[Q_TEMP_MAX_MDEGC] > params->runaway_temp_mdegc);
    const bool fast = thermal.rise_mk_per_s > params->runaway_rise_mk_per_s;
    measure_put(Q_RUNAWAY_HOT, (fast && hot) ? 1 : 0);
    measure_put(Q_RUNAWAY_DROP, (fast && collapsed) ? 1 : 0);
}

int32_t thermal_rise_mk_per_s(void) {
    return thermal.rise_mk_per_s;
}
