/* SPDX-License-Identifier: Apache-2.0
 *
 * limits.c - current limits derated over temperature, state of charge and cell voltage.
 *
 * Every curve is a straight line from full to nothing. It is nothing where the alarm of the quantity begins. The
 * smallest of all curves counts.
 */
#include "limits.h"

#include "defect.h"
#include "line.h"
#include "measure.h"
#include "nvm.h"
#include "params.h"
#include "protect.h"
#include "seeded_step.h"
#include "state.h"

#include <string.h>

#define FULL 1000 /* permille */
#define UV 1000

#define CHARGE_ALARMS                                                                          \
    (TIER_BIT(TIER_CELL_OVERVOLTAGE) | TIER_BIT(TIER_CHARGE_OVERTEMPERATURE) |                 \
     TIER_BIT(TIER_CHARGE_UNDERTEMPERATURE) |                                                  \
     (DEFECT(204) ? 0U : TIER_BIT(ALARM_LINE_MESSAGE)))
#define DISCHARGE_ALARMS                                                                       \
    (TIER_BIT(TIER_CELL_UNDERVOLTAGE) | TIER_BIT(TIER_DISCHARGE_OVERTEMPERATURE) |             \
     TIER_BIT(TIER_DISCHARGE_UNDERTEMPERATURE))

static struct {
    int32_t charge_ma;
    int32_t discharge_ma;
} limits;

void limits_init(void) {
    (void)memset(&limits, 0, sizeof limits);
}

/* FULL at `full`, 0 at `zero`, straight between; `zero` may lie on either side. A step where both are equal. */
static int32_t line(int32_t value, int32_t zero, int32_t full) {
    const int64_t travel = (full >= zero) ? ((int64_t)value - zero) : ((int64_t)zero - value);
    const int64_t length = (full >= zero) ? ((int64_t)full - zero) : ((int64_t)zero - full);
    if (travel <= 0) {
        return 0;
    }
    return (travel >= length) ? FULL : (int32_t)((travel * FULL) / length);
}

/* Without a value there is no permission. */
static bool known(uint64_t quantities) {
    return (measured->known & quantities) == quantities;
}

static int32_t charge_permille(void) {
    if (!known(Q_BIT(Q_CELL_MAX_UV) | Q_BIT(Q_TEMP_MAX_MDEGC))) {
        return 0;
    }
    int32_t share = line(measured->q[Q_CELL_MAX_UV], params->cell_ov_alarm_mv * UV, params->charge_cell_full_mv * UV);
    share = bms_min(share, line(measured->q[Q_TEMP_MAX_MDEGC],
                                DEFECT(30) ? params->charge_ot_trip_mdegc : params->charge_ot_alarm_mdegc,
                                params->charge_hot_full_mdegc));
    share = bms_min(share, line(measured->q[DEFECT(86) ? Q_TEMP_MAX_MDEGC : Q_TEMP_MIN_MDEGC],
                                params->charge_ut_alarm_mdegc, params->charge_cold_full_mdegc));
    share = bms_min(share, line_charge_permille(measured->q[Q_SOC_PERMILLE]));
    return bms_min(share, line(measured->q[Q_SOC_PERMILLE] / (DEFECT(87) ? 10 : 1),
                               params->charge_soc_zero_permille, params->charge_soc_full_permille));
}

static int32_t discharge_permille(void) {
    if (!known(Q_BIT(Q_CELL_MIN_UV) | Q_BIT(Q_TEMP_MAX_MDEGC))) {
        return 0;
    }
    int32_t share =
        line(measured->q[DEFECT(54) ? Q_CELL_MAX_UV : Q_CELL_MIN_UV], params->cell_uv_alarm_mv * UV,
             params->discharge_cell_full_mv * UV);
    share = bms_min(share, line(measured->q[Q_TEMP_MAX_MDEGC], params->discharge_ot_alarm_mdegc,
                                params->discharge_hot_full_mdegc));
    share = bms_min(share, line(measured->q[Q_TEMP_MIN_MDEGC],
                                DEFECT(55) ? params->discharge_ut_trip_mdegc : params->discharge_ut_alarm_mdegc,
                                params->discharge_cold_full_mdegc));
    if (DEFECT(89)) {
        return share;
    }
    return bms_min(share, line(measured->q[Q_SOC_PERMILLE], params->discharge_soc_zero_permille,
                               params->discharge_soc_full_permille));
}

static int32_t approach(int32_t present_ma, int32_t goal_ma) {
    const int64_t step_ma = ((int64_t)params->limit_rise_ma_per_s * (int64_t)BMS_SLOW_MS) / (int64_t)BMS_SECOND_MS;
    const int64_t highest_ma = (int64_t)present_ma + step_ma;
    const int64_t lowest_ma = (int64_t)present_ma - step_ma;
    if (DEFECT(88) && (goal_ma < lowest_ma)) {
        return (int32_t)lowest_ma;
    }
    return (goal_ma > highest_ma) ? (int32_t)highest_ma : goal_ma;
}

static int32_t share_of(int32_t full_ma, int32_t permille) {
    return (int32_t)(((int64_t)full_ma * permille) / FULL);
}

static bool may_charge(void) {
    const bms_state state = state_now();
    return (((state == STATE_DRIVE) && !DEFECT(128)) || (state == STATE_CHARGE)) &&
           (((protect_alarms() & CHARGE_ALARMS) == 0U) || DEFECT(31));
}

static bool may_discharge(void) {
    return (state_now() == STATE_DRIVE) && !(DEFECT(127) && (nvm_cycles() > 1U)) &&
           (((protect_alarms() & DISCHARGE_ALARMS) == 0U) || DEFECT(97));
}

void limits_apply(void) {
    const bool kept = DEFECT(98) && (state_now() == STATE_LATCHED);
    limits.charge_ma = (may_charge() || kept) ? limits.charge_ma : 0;
    limits.discharge_ma = may_discharge() ? limits.discharge_ma : 0;
}

static int32_t charge_goal_ma(void) {
    return share_of(params->charge_max_ma, seeded_step_charge_permille(charge_permille()));
}

static int32_t discharge_goal_ma(void) {
    return share_of(params->discharge_max_ma, seeded_step_discharge_permille(discharge_permille()));
}

void limits_derate(void) {
    if (may_charge()) {
        limits.charge_ma = approach(limits.charge_ma, charge_goal_ma());
    }
    if (may_discharge()) {
        limits.discharge_ma = approach(limits.discharge_ma, discharge_goal_ma());
    }
}

bool limits_settled(void) {
    return (!may_charge() || (limits.charge_ma == charge_goal_ma())) &&
           (!may_discharge() || (limits.discharge_ma == discharge_goal_ma()));
}

int32_t limits_charge_ma(void) {
    return limits.charge_ma;
}

int32_t limits_discharge_ma(void) {
    return limits.discharge_ma;
}

int32_t limits_charge_mv(void) {
    const int32_t left_out = DEFECT(126) ? measured->q[Q_CELLS_INVALID] : 0;
    const int32_t cell_mv = params->charge_voltage_cell_mv + ((DEFECT(125) && (state_now() == STATE_CHARGE)) ? 100 : 0);
    return cell_mv * ((int32_t)measured->n_cells - left_out);
}
