/* SPDX-License-Identifier: Apache-2.0
 *
 * longrun.c - time that passes at once.
 *
 * What a task would only carry forward is carried forward by what has passed: the clock, the charge, the rest, the
 * operating time, and the time of the last good frames and of the last DM1, for those go on coming. Time stamps of
 * events that are over stay where they are, so that what would wrap around behind them does. Before the clock itself
 * wraps, and before the next correction of the state of charge, there is nothing to pass: those moments are run through
 * task by task.
 *
 * A function with a timer of its own has to be asked here.
 */
#include "longrun.h"

#include "can_bus.h"
#include "can_rx.h"
#include "contact.h"
#include "contactor.h"
#include "dtc.h"
#include "faults.h"
#include "j1939.h"
#include "limits.h"
#include "measure.h"
#include "nvm.h"
#include "overcurrent.h"
#include "params.h"
#include "protect.h"
#include "soc.h"
#include "state.h"
#include "thermal.h"
#include "uds.h"

#define MARGIN_MS 5000U /* run task by task before and behind a moment that counts */
#define STEP_MS 1000U   /* the same of a state of charge that is shown to a permille */
#define LONGEST_MS 3600000U

static bool at_work(void) {
    const bms_state state = state_now();
    const contactor_result contactors = contactor_state();
    return ((state == STATE_STANDBY) && (contactors == CONTACTORS_OPEN)) ||
           (((state == STATE_DRIVE) || (state == STATE_CHARGE)) && (contactors == CONTACTORS_CLOSED));
}

static bool nothing_pending(void) {
    return (faults_active() == 0U) && !protect_pending() && !overcurrent_pending() && limits_settled() &&
           !contact_pending() && !dtc_pending() && !uds_busy() && !j1939_busy();
}

static bool messages_flow(void) {
    const bool vehicle = measured->q[Q_VEHICLE_AGE_MS] <= params->vehicle_age_ms;
    const bool charger = !measured->plug || (measured->q[Q_CHARGER_AGE_MS] <= params->charger_age_ms);
    const bool line = (params->line_supervised == 0) || (measured->q[Q_LINE_AGE_MS] <= params->line_age_ms);
    const bool session = (params->gbt != 0) && measured->plug; /* its stages have timers of their own */
    return vehicle && charger && line && !session && can_bus_stable();
}

static uint32_t before(uint32_t moment_ms, uint32_t margin_ms) {
    return (moment_ms > margin_ms) ? (moment_ms - margin_ms) : 0U;
}

static uint32_t sooner(uint32_t one, uint32_t other) {
    return (one < other) ? one : other;
}

uint32_t longrun_idle_ms(uint32_t now_ms) {
    if (!at_work() || !nothing_pending() || !messages_flow()) {
        return 0U;
    }
    if (now_ms < MARGIN_MS) {
        return 0U; /* has just wrapped around */
    }
    const uint32_t rest_s = soc_rest_seconds();
    if ((rest_s > 0U) && (rest_s <= (uint32_t)params->balance_rest_s)) {
        return 0U; /* balancing may begin */
    }
    const uint32_t idle_ms = sooner(LONGEST_MS, before(UINT32_MAX - now_ms, MARGIN_MS));
    return sooner(sooner(idle_ms, before(soc_to_rest_ms(), MARGIN_MS)), before(soc_to_step_ms(), STEP_MS));
}

void longrun_pass(uint32_t ms) {
    const uint32_t seconds = ms / BMS_SECOND_MS;
    can_rx_pass(ms);
    j1939_pass(ms);
    soc_pass(seconds);
    nvm_pass(seconds, soc_charge_uah(), soc_throughput_mah());
    thermal_pass();
}
