/* SPDX-License-Identifier: Apache-2.0
 *
 * bms_config.h - bounds of the product and periods of its tasks, fixed at compile time.
 */
#ifndef BMS_CONFIG_H
#define BMS_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BMS_SOFTWARE_MAJOR 1U
#define BMS_SOFTWARE_MINOR 0U
#define BMS_SOFTWARE_PATCH 0U
#define BMS_LAYOUT_VERSION 1U

#define BMS_MAX_CELLS 400U
#define BMS_MAX_TEMPS 100U

/* Periods of the tasks. */
#define BMS_FAST_MS 10U
#define BMS_SLOW_MS 100U
#define BMS_SECOND_MS 1000U
#define BMS_FAST_PER_SLOW (BMS_SLOW_MS / BMS_FAST_MS)
#define BMS_FAST_PER_SECOND (BMS_SECOND_MS / BMS_FAST_MS)

/* A call that comes later than this after the one before is a lost task: the watchdog bites. */
#define BMS_WATCHDOG_MS 1000U

/* Time since `since` on the free-running 32-bit millisecond counter; right across its wrap-around. */
static inline uint32_t bms_elapsed_ms(uint32_t now_ms, uint32_t since_ms) {
    return now_ms - since_ms;
}

static inline int32_t bms_min(int32_t a, int32_t b) {
    return (a < b) ? a : b;
}

static inline int32_t bms_max(int32_t a, int32_t b) {
    return (a > b) ? a : b;
}

static inline int32_t bms_clamp(int32_t value, int32_t low, int32_t high) {
    return bms_min(bms_max(value, low), high);
}

#endif
