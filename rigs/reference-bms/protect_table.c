/* SPDX-License-Identifier: Apache-2.0
 *
 * protect_table.c - the protections of the product. Times of the over-current curve are in overcurrent.c.
 */
#include "faults.h"
#include "measure.h"
#include "params.h"
#include "protect.h"

#define UV 1000 /* parameters in mV, quantity in uV */
#define P(name) PARAM_INDEX(name)
#define THREE(prefix, unit) {P(prefix##_warn_##unit), P(prefix##_alarm_##unit), P(prefix##_trip_##unit)}
#define TRIP_ONLY(limit) {RULE_UNUSED, RULE_UNUSED, (limit)}
#define WARN_ONLY(limit) {(limit), RULE_UNUSED, RULE_UNUSED}
#define WARN_ALARM(warn, alarm) {(warn), (alarm), RULE_UNUSED}

/* A yes/no quantity that trips while it is above 0. */
#define DIGITAL(quantity, sign, watch, fault, confirm, release)                                              \
    {(quantity), (watch), (sign), 1, (fault), TIER_NONE, TRIP_ONLY(RULE_ZERO), TRIP_ONLY(P(confirm)),        \
     RULE_ZERO, P(release)}

/* Temperature limits share their times and their hysteresis. */
#define TEMPERATURE(quantity, sign, watch, fault, tier, prefix)                                              \
    {(quantity), (watch), (sign), (sign), (fault), (tier), THREE(prefix, mdegc), THREE(temp, ms),            \
     P(temp_hyst_mk), P(temp_release_ms)}

/* A reading that stands still only warns: a cell held by a simulator channel is just as constant. */
#define FROZEN(quantity, watch, tier, swing)                                                                 \
    {(quantity), (watch), 1, 1, FAULT_NONE, (tier), WARN_ONLY(P(swing)), WARN_ONLY(P(frozen_ms)), RULE_ZERO, \
     P(sensor_release_ms)}

const protect_rule protect_table[] = {
    {Q_CELL_MAX_UV, WATCH_ALWAYS, 1, UV, FAULT_CELL_OVERVOLTAGE, TIER_CELL_OVERVOLTAGE, THREE(cell_ov, mv),
     THREE(cell_ov, ms), P(cell_ov_hyst_mv), P(cell_ov_release_ms)},
    {Q_CELL_MIN_UV, WATCH_ALWAYS, -1, -UV, FAULT_CELL_UNDERVOLTAGE, TIER_CELL_UNDERVOLTAGE, THREE(cell_uv, mv),
     THREE(cell_uv, ms), P(cell_uv_hyst_mv), P(cell_uv_release_ms)},
    {Q_CELL_SPREAD_UV, WATCH_ALWAYS, 1, UV, FAULT_CELL_IMBALANCE, TIER_CELL_IMBALANCE, THREE(imbalance, mv),
     THREE(imbalance, ms), P(imbalance_hyst_mv), P(imbalance_release_ms)},

    TEMPERATURE(Q_TEMP_MAX_MDEGC, 1, WATCH_CHARGING, FAULT_CHARGE_OVERTEMPERATURE, TIER_CHARGE_OVERTEMPERATURE,
                charge_ot),
    TEMPERATURE(Q_TEMP_MIN_MDEGC, -1, WATCH_CHARGING, FAULT_CHARGE_UNDERTEMPERATURE, TIER_CHARGE_UNDERTEMPERATURE,
                charge_ut),
    TEMPERATURE(Q_TEMP_MAX_MDEGC, 1, WATCH_NOT_CHARGING, FAULT_DISCHARGE_OVERTEMPERATURE,
                TIER_DISCHARGE_OVERTEMPERATURE, discharge_ot),
    TEMPERATURE(Q_TEMP_MIN_MDEGC, -1, WATCH_NOT_CHARGING, FAULT_DISCHARGE_UNDERTEMPERATURE,
                TIER_DISCHARGE_UNDERTEMPERATURE, discharge_ut),
    {Q_TEMP_SPREAD_MK, WATCH_ALWAYS, 1, 1, FAULT_TEMPERATURE_SPREAD, TIER_TEMPERATURE_SPREAD, THREE(temp_spread, mk),
     THREE(temp_spread, ms), P(temp_spread_hyst_mk), P(temp_spread_release_ms)},

    {Q_CURRENT_MA, WATCH_ALWAYS, 1, 1, FAULT_NONE, TIER_DISCHARGE_OVERCURRENT,
     WARN_ALARM(P(discharge_oc_warn_ma), P(discharge_oc_alarm_ma)), WARN_ALARM(P(oc_warn_ms), P(oc_alarm_ms)),
     P(oc_hyst_ma), P(oc_tier_release_ms)},
    {Q_CURRENT_MA, WATCH_ALWAYS, -1, 1, FAULT_NONE, TIER_CHARGE_OVERCURRENT,
     WARN_ALARM(P(charge_oc_warn_ma), P(charge_oc_alarm_ma)), WARN_ALARM(P(oc_warn_ms), P(oc_alarm_ms)),
     P(oc_hyst_ma), P(oc_tier_release_ms)},

    DIGITAL(Q_OPEN_WIRES, 1, WATCH_ALWAYS, FAULT_OPEN_SENSE_WIRE, open_wire_ms, sensor_release_ms),
    {Q_MISMATCH_MV, WATCH_ALWAYS, 1, 1, FAULT_VOLTAGE_PLAUSIBILITY, TIER_NONE, TRIP_ONLY(P(plausibility_mv)),
     TRIP_ONLY(P(plausibility_ms)), P(plausibility_hyst_mv), P(sensor_release_ms)},
    {Q_AGE_MS, WATCH_ALWAYS, 1, 1, FAULT_MEASUREMENT_STALE, TIER_NONE, TRIP_ONLY(P(stale_age_ms)),
     TRIP_ONLY(P(stale_ms)), RULE_ZERO, P(sensor_release_ms)},
    DIGITAL(Q_CELLS_INVALID, 1, WATCH_ALWAYS, FAULT_CELLS_INVALID, cells_invalid_ms, sensor_release_ms),
    DIGITAL(Q_TEMPS_INVALID, 1, WATCH_ALWAYS, FAULT_TEMPERATURE_SENSOR, temp_sensor_ms, sensor_release_ms),
    DIGITAL(Q_CURRENT_INVALID, 1, WATCH_ALWAYS, FAULT_CURRENT_SENSOR, current_sensor_ms, sensor_release_ms),

    {Q_INSULATION_OHM, WATCH_ALWAYS, -1, -1, FAULT_INSULATION, TIER_INSULATION, THREE(insulation, ohm),
     THREE(insulation, ms), P(insulation_hyst_ohm), P(insulation_release_ms)},
    {Q_INSULATION_INVALID, WATCH_ALWAYS, 1, 1, FAULT_NONE, WARNING_INSULATION_MONITOR, WARN_ONLY(RULE_ZERO),
     WARN_ONLY(P(insulation_monitor_ms)), RULE_ZERO, P(sensor_release_ms)},
    DIGITAL(Q_HVIL_OPEN, 1, WATCH_ALWAYS, FAULT_HVIL, hvil_ms, digital_release_ms),
    DIGITAL(Q_CRASH, 1, WATCH_ALWAYS, FAULT_CRASH, crash_ms, digital_release_ms),
    {Q_SUPPLY_MV, WATCH_ALWAYS, -1, -1, FAULT_SUPPLY, WARNING_SUPPLY,
     {P(supply_low_warn_mv), RULE_UNUSED, P(supply_low_trip_mv)}, {P(supply_warn_ms), RULE_UNUSED, P(supply_trip_ms)},
     P(supply_hyst_mv), P(supply_release_ms)},
    {Q_SUPPLY_MV, WATCH_ALWAYS, 1, 1, FAULT_SUPPLY, TIER_NONE, TRIP_ONLY(P(supply_high_trip_mv)),
     TRIP_ONLY(P(supply_trip_ms)), P(supply_hyst_mv), P(supply_release_ms)},

    {Q_VEHICLE_AGE_MS, WATCH_DRIVING, 1, 1, FAULT_VEHICLE_TIMEOUT, TIER_NONE, TRIP_ONLY(P(vehicle_age_ms)),
     TRIP_ONLY(P(vehicle_timeout_ms)), RULE_ZERO, P(message_release_ms)},
    {Q_CHARGER_AGE_MS, WATCH_CHARGE, 1, 1, FAULT_CHARGER_TIMEOUT, TIER_NONE, TRIP_ONLY(P(charger_age_ms)),
     TRIP_ONLY(P(charger_timeout_ms)), RULE_ZERO, P(message_release_ms)},

    {Q_LINE_MV, WATCH_ALWAYS, 1, 1, FAULT_LINE_VOLTAGE, WARNING_LINE_VOLTAGE,
     {P(line_over_warn_mv), RULE_UNUSED, P(line_over_trip_mv)}, {P(line_over_warn_ms), RULE_UNUSED, P(line_over_trip_ms)},
     P(line_hyst_mv), P(line_release_ms)},
    {Q_POLE_FEED_MV, WATCH_ALWAYS, 1, 1, FAULT_LINE_VOLTAGE, TIER_NONE, TRIP_ONLY(P(pole_feed_mv)),
     TRIP_ONLY(P(pole_feed_ms)), RULE_ZERO, P(line_release_ms)},
    {Q_LINE_DEAD, WATCH_ALWAYS, 1, 1, FAULT_NONE, WARNING_LINE_DEAD, WARN_ONLY(RULE_ZERO), WARN_ONLY(P(line_dead_ms)),
     RULE_ZERO, RULE_ZERO},
    {Q_LINE_AGE_MS, WATCH_DRIVING, 1, 1, FAULT_NONE, ALARM_LINE_MESSAGE, {RULE_UNUSED, P(line_age_ms), RULE_UNUSED},
     {RULE_UNUSED, P(line_timeout_ms), RULE_UNUSED}, RULE_ZERO, P(message_release_ms)},

    DIGITAL(Q_CONTACTOR_POSITIVE, 1, WATCH_ALWAYS, FAULT_CONTACTOR_WELDED, welded_ms, digital_release_ms),
    DIGITAL(Q_CONTACTOR_NEGATIVE, 1, WATCH_ALWAYS, FAULT_CONTACTOR_WELDED, welded_ms, digital_release_ms),
    DIGITAL(Q_CONTACTOR_PRECHARGE, 1, WATCH_ALWAYS, FAULT_CONTACTOR_WELDED, welded_ms, digital_release_ms),
    DIGITAL(Q_CONTACTOR_POSITIVE, -1, WATCH_ALWAYS, FAULT_CONTACTOR_STUCK, stuck_ms, digital_release_ms),
    DIGITAL(Q_CONTACTOR_NEGATIVE, -1, WATCH_ALWAYS, FAULT_CONTACTOR_STUCK, stuck_ms, digital_release_ms),
    DIGITAL(Q_CONTACTOR_PRECHARGE, -1, WATCH_ALWAYS, FAULT_CONTACTOR_STUCK, stuck_ms, digital_release_ms),

    DIGITAL(Q_RUNAWAY_HOT, 1, WATCH_ALWAYS, FAULT_THERMAL_RUNAWAY, runaway_ms, runaway_release_ms),
    DIGITAL(Q_RUNAWAY_DROP, 1, WATCH_ALWAYS, FAULT_THERMAL_RUNAWAY, runaway_drop_ms, runaway_release_ms),
    FROZEN(Q_CELL_FROZEN_MA, WATCH_DRIVING | WATCH_CHARGE, WARNING_CELL_FROZEN, frozen_swing_ma),
    FROZEN(Q_PACK_FROZEN_MA, WATCH_DRIVING | WATCH_CHARGE, WARNING_PACK_FROZEN, frozen_swing_ma),
    FROZEN(Q_LINK_FROZEN_MA, WATCH_DRIVING | WATCH_CHARGE, WARNING_LINK_FROZEN, frozen_swing_ma),
    FROZEN(Q_CURRENT_FROZEN_MV, WATCH_DRIVING, WARNING_CURRENT_FROZEN, frozen_swing_mv),
    {Q_CAN_OFF, WATCH_ALWAYS, 1, 1, FAULT_NONE, WARNING_CAN_BUS_OFF, WARN_ONLY(RULE_ZERO), WARN_ONLY(RULE_ZERO),
     RULE_ZERO, P(bus_off_shown_ms)},
    {Q_CONTACT_LOSSES, WATCH_ALWAYS, 1, 1, FAULT_NONE, WARNING_LOOSE_CONTACT, WARN_ONLY(P(contact_losses)),
     WARN_ONLY(RULE_ZERO), RULE_ZERO, P(digital_release_ms)},
    {Q_STRING_GAP_MV, WATCH_ALWAYS, 1, 1, FAULT_STRING_UNEQUAL, TIER_NONE, TRIP_ONLY(P(string_gap_mv)),
     TRIP_ONLY(P(string_wait_ms)), RULE_ZERO, P(string_release_ms)},
    {Q_STRING_DEVIATION_MA, WATCH_ALWAYS, 1, 1, FAULT_STRING_UNEQUAL, TIER_NONE, TRIP_ONLY(P(string_deviation_ma)),
     TRIP_ONLY(P(string_deviation_ms)), RULE_ZERO, P(string_release_ms)},
    {Q_INTERNAL, WATCH_ALWAYS, 1, 1, FAULT_INTERNAL, TIER_NONE, TRIP_ONLY(RULE_ZERO), TRIP_ONLY(RULE_ZERO), RULE_ZERO,
     RULE_ZERO},
    {Q_SOC_PERMILLE, WATCH_ALWAYS, -1, -1, FAULT_NONE, WARNING_SOC_LOW, WARN_ONLY(P(soc_low_permille)),
     WARN_ONLY(P(soc_warn_ms)), P(soc_hyst_permille), P(soc_release_ms)},
    {Q_SOC_PERMILLE, WATCH_ALWAYS, 1, 1, FAULT_NONE, WARNING_SOC_HIGH, WARN_ONLY(P(soc_high_permille)),
     WARN_ONLY(P(soc_warn_ms)), P(soc_hyst_permille), P(soc_release_ms)},
};

const uint32_t protect_table_size = (uint32_t)(sizeof protect_table / sizeof protect_table[0]);
