/* SPDX-License-Identifier: Apache-2.0
 *
 * params_table.h - name, default, least, greatest. Temperatures in 0.001 degC, currents in mA, times in ms.
 */
#ifndef PARAMS_TABLE_H
#define PARAMS_TABLE_H

#define PARAMS_CELL_VOLTAGE(X)                       \
    X(cell_ov_warn_mv, 3600, 500, 6000)              \
    X(cell_ov_alarm_mv, 3650, 500, 6000)             \
    X(cell_ov_trip_mv, 3750, 500, 6000)              \
    X(cell_ov_warn_ms, 2000, 10, 60000)              \
    X(cell_ov_alarm_ms, 1000, 10, 60000)             \
    X(cell_ov_trip_ms, 900, 10, 60000)               \
    X(cell_ov_hyst_mv, 100, 0, 1000)                 \
    X(cell_ov_release_ms, 5000, 0, 600000)           \
    X(cell_uv_warn_mv, 2800, 500, 6000)              \
    X(cell_uv_alarm_mv, 2600, 500, 6000)             \
    X(cell_uv_trip_mv, 2500, 500, 6000)              \
    X(cell_uv_warn_ms, 2000, 10, 60000)              \
    X(cell_uv_alarm_ms, 1000, 10, 60000)             \
    X(cell_uv_trip_ms, 900, 10, 60000)               \
    X(cell_uv_hyst_mv, 100, 0, 1000)                 \
    X(cell_uv_release_ms, 5000, 0, 600000)           \
    X(imbalance_warn_mv, 100, 1, 3000)               \
    X(imbalance_alarm_mv, 200, 1, 3000)              \
    X(imbalance_trip_mv, 300, 1, 3000)               \
    X(imbalance_warn_ms, 2000, 10, 60000)            \
    X(imbalance_alarm_ms, 1000, 10, 60000)           \
    X(imbalance_trip_ms, 7500, 10, 60000)            \
    X(imbalance_hyst_mv, 50, 0, 1000)                \
    X(imbalance_release_ms, 5000, 0, 600000)

/* runaway_ms is longer than the window of 3 s, so that a step is not a runaway. runaway_drop_permille 1000: off, as
 * shipped. A collapsing cell and a breaking sense wire look the same until the open-wire test has run, the cell sample
 * of 100 ms cannot tell a brief dip from a lasting one, and a hot runaway is found without it; so no requirement of this
 * pack asks for it, and none judges it. Off does not take the check away: a product may switch it on. */
#define PARAMS_TEMPERATURE(X)                        \
    X(charge_ot_warn_mdegc, 45000, -60000, 120000)   \
    X(charge_ot_alarm_mdegc, 50000, -60000, 120000)  \
    X(charge_ot_trip_mdegc, 55000, -60000, 120000)   \
    X(charge_ut_warn_mdegc, 0, -60000, 120000)       \
    X(charge_ut_alarm_mdegc, -5000, -60000, 120000)  \
    X(charge_ut_trip_mdegc, -10000, -60000, 120000)  \
    X(discharge_ot_warn_mdegc, 50000, -60000, 120000)   \
    X(discharge_ot_alarm_mdegc, 55000, -60000, 120000)  \
    X(discharge_ot_trip_mdegc, 60000, -60000, 120000)   \
    X(discharge_ut_warn_mdegc, -15000, -60000, 120000)  \
    X(discharge_ut_alarm_mdegc, -20000, -60000, 120000) \
    X(discharge_ut_trip_mdegc, -25000, -60000, 120000)  \
    X(temp_warn_ms, 3000, 10, 60000)                 \
    X(temp_alarm_ms, 3000, 10, 60000)                \
    X(temp_trip_ms, 4500, 10, 60000)                 \
    X(temp_hyst_mk, 5000, 0, 50000)                  \
    X(temp_release_ms, 5000, 0, 600000)              \
    X(temp_spread_warn_mk, 5000, 100, 100000)        \
    X(temp_spread_alarm_mk, 10000, 100, 100000)      \
    X(temp_spread_trip_mk, 15000, 100, 100000)       \
    X(temp_spread_warn_ms, 3000, 10, 60000)          \
    X(temp_spread_alarm_ms, 3000, 10, 60000)         \
    X(temp_spread_trip_ms, 7500, 10, 60000)          \
    X(temp_spread_hyst_mk, 2500, 0, 50000)           \
    X(temp_spread_release_ms, 5000, 0, 600000)       \
    X(temp_valid_min_mdegc, -45000, -80000, 0)       \
    X(temp_valid_max_mdegc, 125000, 50000, 200000)   \
    X(temp_sensor_ms, 1500, 10, 60000)               \
    X(runaway_rise_mk_per_s, 1000, 100, 20000)       \
    X(runaway_temp_mdegc, 60000, 30000, 120000)      \
    X(runaway_drop_permille, 1000, 10, 1000)          \
    X(runaway_ms, 3300, 100, 60000)                  \
    X(runaway_drop_ms, 500, 100, 60000)              \
    X(runaway_release_ms, 5000, 0, 600000)

#define PARAMS_CURRENT(X)                            \
    X(charging_current_ma, 2000, 0, 100000)          \
    X(discharge_oc_warn_ma, 420000, 100, 5000000)    \
    X(discharge_oc_alarm_ma, 480000, 100, 5000000)   \
    X(charge_oc_warn_ma, 283500, 100, 5000000)       \
    X(charge_oc_alarm_ma, 324000, 100, 5000000)      \
    X(oc_warn_ms, 2000, 10, 60000)                   \
    X(oc_alarm_ms, 1000, 10, 60000)                  \
    X(oc_hyst_ma, 20000, 0, 1000000)                 \
    X(oc_tier_release_ms, 5000, 0, 600000)           \
    X(discharge_oc_stage1_ma, 600000, 100, 5000000)  \
    X(discharge_oc_stage1_ms, 900, 10, 600000)       \
    X(discharge_oc_stage2_ma, 480000, 100, 5000000)  \
    X(discharge_oc_stage2_ms, 9000, 10, 600000)      \
    X(discharge_oc_stage3_ma, 420000, 100, 5000000)  \
    X(discharge_oc_stage3_ms, 55000, 10, 600000)     \
    X(charge_oc_stage1_ma, 405000, 100, 5000000)     \
    X(charge_oc_stage1_ms, 900, 10, 600000)          \
    X(charge_oc_stage2_ma, 324000, 100, 5000000)     \
    X(charge_oc_stage2_ms, 9000, 10, 600000)         \
    X(charge_oc_stage3_ma, 283500, 100, 5000000)     \
    X(charge_oc_stage3_ms, 55000, 10, 600000)        \
    X(short_circuit_discharge_ma, 1200000, 100, 10000000) \
    X(short_circuit_charge_ma, 810000, 100, 10000000)     \
    X(short_circuit_ms, 20, 10, 1000)                \
    X(oc_release_ma, 1000, 0, 1000000)               \
    X(oc_release_ms, 30000, 0, 600000)               \
    X(current_sensor_ms, 700, 10, 60000)

/* frozen_swing_ma, frozen_swing_mv: how far current or pack voltage must have gone while a reading stood still. The
 * voltage is high because a current held at its limit stands still too, while the polarisation moves the voltage.
 * bus_off_*: back-off before a restart of the CAN controller, the first tries fast; after bus_off_stable_ms on the bus
 * the tries count anew. nvm_expected 1: a missing non-volatile image is a lost one, not that of a new controller. */
#define PARAMS_SUPERVISION(X)                        \
    X(open_wire_ms, 1000, 10, 60000)                 \
    X(plausibility_mv, 15000, 100, 200000)           \
    X(plausibility_ms, 1750, 10, 60000)              \
    X(plausibility_hyst_mv, 5000, 0, 100000)         \
    X(stale_age_ms, 250, 10, 10000)                  \
    X(stale_ms, 300, 10, 60000)                      \
    X(cells_invalid_ms, 750, 10, 60000)              \
    X(sensor_release_ms, 1000, 0, 600000)            \
    X(insulation_warn_ohm, 350000, 1000, 100000000)  \
    X(insulation_alarm_ohm, 70000, 1000, 100000000)  \
    X(insulation_trip_ohm, 35000, 1000, 100000000)   \
    X(insulation_warn_ms, 2000, 10, 60000)           \
    X(insulation_alarm_ms, 1000, 10, 60000)          \
    X(insulation_trip_ms, 3500, 10, 60000)           \
    X(insulation_hyst_ohm, 10000, 0, 10000000)       \
    X(insulation_release_ms, 5000, 0, 600000)        \
    X(insulation_monitor_ms, 1000, 10, 60000)        \
    X(hvil_ms, 100, 10, 60000)                       \
    X(crash_ms, 20, 10, 1000)                        \
    X(digital_release_ms, 1000, 0, 600000)           \
    X(supply_low_warn_mv, 18000, 1000, 100000)       \
    X(supply_low_trip_mv, 16000, 1000, 100000)       \
    X(supply_high_trip_mv, 32000, 1000, 100000)      \
    X(supply_warn_ms, 1000, 10, 60000)               \
    X(supply_trip_ms, 100, 10, 60000)                \
    X(supply_hyst_mv, 500, 0, 10000)                 \
    X(supply_release_ms, 1000, 0, 600000)            \
    X(vehicle_period_ms, 10, 10, 10000)              \
    X(vehicle_age_ms, 100, 10, 10000)                \
    X(vehicle_timeout_ms, 900, 10, 60000)            \
    X(charger_period_ms, 100, 10, 10000)             \
    X(charger_age_ms, 500, 10, 10000)                \
    X(charger_timeout_ms, 500, 10, 60000)            \
    X(message_release_ms, 1000, 0, 600000)           \
    X(frozen_swing_ma, 50000, 1000, 5000000)         \
    X(frozen_swing_mv, 15000, 100, 1000000)          \
    X(frozen_ms, 5000, 10, 600000)                   \
    X(bus_off_fast_ms, 100, 10, 10000)               \
    X(bus_off_slow_ms, 1000, 10, 60000)              \
    X(bus_off_fast_tries, 5, 0, 100)                 \
    X(bus_off_stable_ms, 2000, 10, 60000)            \
    X(bus_off_shown_ms, 10000, 0, 600000)            \
    X(nvm_expected, 0, 0, 1)

#define PARAMS_CONTACTORS(X)                         \
    X(boot_ms, 200, 0, 10000)                        \
    X(precharge_timeout_ms, 3000, 100, 60000)        \
    X(precharge_wait_ms, 3000, 0, 60000)             \
    X(precharge_tries, 3, 1, 3)                      \
    X(precharge_band_permille, 50, 1, 500)           \
    X(precharge_min_ms, 150, 0, 10000)               \
    X(close_settle_ms, 60, 10, 1000)                 \
    X(open_positive_ms, 20, 0, 90)                   \
    X(open_negative_ms, 50, 0, 90)                   \
    X(welded_ms, 300, 10, 60000)                     \
    X(stuck_ms, 300, 10, 60000)                      \
    X(weld_link_permille, 100, 10, 1000)

#define PARAMS_LIMITS(X)                             \
    X(discharge_max_ma, 400000, 0, 1638300)          \
    X(charge_max_ma, 270000, 0, 1638300)             \
    X(limit_rise_ma_per_s, 400000, 1000, 100000000)  \
    X(charge_voltage_cell_mv, 3550, 500, 6000)       \
    X(charge_hot_full_mdegc, 40000, -60000, 120000)  \
    X(charge_cold_full_mdegc, 10000, -60000, 120000) \
    X(discharge_hot_full_mdegc, 45000, -60000, 120000)  \
    X(discharge_cold_full_mdegc, -5000, -60000, 120000) \
    X(charge_cell_full_mv, 3500, 500, 6000)          \
    X(discharge_cell_full_mv, 2900, 500, 6000)       \
    X(charge_soc_full_permille, 900, 0, 1000)        \
    X(charge_soc_zero_permille, 1000, 0, 1000)       \
    X(discharge_soc_full_permille, 150, 0, 1000)     \
    X(discharge_soc_zero_permille, 30, 0, 1000)

/* Open-circuit voltage over the state of charge in % (the positions are in soc.c): Sony US26650FTC1, mean of charge and
 * discharge branch at 25 degC, from the open cell data set of simses (BSD-3-Clause), rounded to 1 mV. */
#define PARAMS_CHARGE_STATE(X)                       \
    X(capacity_mah, 180000, 100, 2000000)            \
    X(health_permille, 1000, 0, 1000)                \
    X(soc_initial_permille, -1, -1, 1000)            \
    X(soc_low_permille, 100, 0, 1000)                \
    X(soc_high_permille, 950, 0, 1000)               \
    X(soc_hyst_permille, 20, 0, 500)                 \
    X(soc_warn_ms, 2000, 10, 60000)                  \
    X(soc_release_ms, 2000, 0, 600000)               \
    X(rest_current_ma, 1000, 0, 100000)              \
    X(soc_rest_s, 1800, 1, 36000)                    \
    X(soc_slope_min_uv_per_permille, 400, 1, 100000) \
    X(ocv_0_mv, 2286, 0, 6000)                       \
    X(ocv_5_mv, 3065, 0, 6000)                       \
    X(ocv_10_mv, 3197, 0, 6000)                      \
    X(ocv_20_mv, 3234, 0, 6000)                      \
    X(ocv_30_mv, 3270, 0, 6000)                      \
    X(ocv_40_mv, 3292, 0, 6000)                      \
    X(ocv_50_mv, 3299, 0, 6000)                      \
    X(ocv_60_mv, 3303, 0, 6000)                      \
    X(ocv_70_mv, 3311, 0, 6000)                      \
    X(ocv_80_mv, 3334, 0, 6000)                      \
    X(ocv_90_mv, 3342, 0, 6000)                      \
    X(ocv_98_mv, 3349, 0, 6000)                      \
    X(ocv_100_mv, 3530, 0, 6000)                     \
    X(balance_min_mv, 3400, 500, 6000)               \
    X(balance_band_mv, 10, 1, 1000)                  \
    X(balance_rest_s, 10, 0, 3600)

/* A working machine outdoors. charge_refused_cold 1: a charge asked for below the alarm of charging closes nothing;
 * contact_losses: how often a contact may be lost within the window without a warning, 1000 for never a warning;
 * j1939 1: a node of a J1939 network, with this source address. */
#define PARAMS_MACHINE(X)                            \
    X(charge_refused_cold, 0, 0, 1)                  \
    X(contact_losses, 1000, 1, 1000)                 \
    X(contact_window_ms, 10000, 10, 600000)          \
    X(j1939, 0, 0, 1)                                \
    X(j1939_address, 243, 0, 253)

/* Overhead line, off by default: a 600 V line in the limits of EN 50163, 400 to 720 V, 800 V for minutes. pole_feed_mv: what
 * may be touched, 60 V DC as in UN R100. line_soc_*: between these, charging ends while the line is live. */
#define PARAMS_LINE(X)                               \
    X(line_supervised, 0, 0, 1)                      \
    X(line_low_mv, 400000, 0, 4000000)               \
    X(line_over_warn_mv, 720000, 0, 4000000)         \
    X(line_over_trip_mv, 800000, 0, 4000000)         \
    X(line_over_warn_ms, 2000, 10, 600000)           \
    X(line_over_trip_ms, 500, 10, 600000)            \
    X(line_hyst_mv, 10000, 0, 1000000)               \
    X(line_release_ms, 5000, 0, 600000)              \
    X(line_dead_ms, 500, 10, 60000)                  \
    X(pole_feed_mv, 60000, 0, 4000000)               \
    X(pole_feed_ms, 300, 10, 60000)                  \
    X(line_period_ms, 100, 10, 10000)                \
    X(line_age_ms, 500, 10, 10000)                   \
    X(line_timeout_ms, 500, 10, 60000)               \
    X(line_soc_full_permille, 850, 0, 1000)          \
    X(line_soc_zero_permille, 900, 0, 1000)

/* Diagnostics: dtc_pass_ms is how long a fault must have been watched for its test to count as passed; uds 1: answer the
 * tester; uds_s3_ms ends a session without requests. */
#define PARAMS_DIAGNOSTICS(X)                        \
    X(dtc_pass_ms, 2000, 10, 600000)                 \
    X(uds, 0, 0, 1)                                  \
    X(uds_s3_ms, 5000, 100, 600000)

/* GB/T 27930: on or off, and what the standard leaves open */
#define PARAMS_GBT(X)                    \
    X(gbt, 0, 0, 1)                      \
    X(gbt_slack_ms, 100, 0, 1000)        \
    X(gbt_least_ma, 10000, 0, 400000)    \
    X(gbt_excess_ma, 20000, 0, 400000)   \
    X(gbt_excess_mv, 10000, 0, 100000)   \
    X(gbt_excess_ms, 2000, 10, 60000)    \
    X(gbt_taper_ma, 9000, 0, 400000)     \
    X(gbt_full_ms, 10000, 100, 600000)   \
    X(gbt_told_ms, 250, 10, 5000)        \
    X(gbt_weld_ms, 2000, 0, 60000)       \
    X(gbt_weld_permille, 985, 0, 2000)

/* string_count 0: no strings in parallel. string_gap_mv: how far pack and link may be apart when it joins others, and
 * string_wait_ms how long it may ask in vain; string_deviation_ma: how far its current may be from the mean of all. */
#define PARAMS_STRINGS(X)                            \
    X(string_count, 0, 0, 8)                         \
    X(string_number, 1, 1, 8)                        \
    X(string_id_offset, 512, 0, 1023)                \
    X(string_gap_mv, 6000, 100, 1000000)             \
    X(string_wait_ms, 10000, 10, 600000)             \
    X(string_deviation_ma, 120000, 100, 5000000)     \
    X(string_deviation_ms, 1500, 10, 60000)          \
    X(string_release_ms, 1000, 0, 600000)            \
    X(string_order_ms, 300, 0, 10000)                \
    X(string_stagger_ms, 600, 0, 60000)              \
    X(string_patience_ms, 1500, 0, 60000)            \
    X(string_silent_ms, 500, 10, 60000)

#define PARAMS_TABLE(X)     \
    PARAMS_STRINGS(X)       \
    PARAMS_CELL_VOLTAGE(X)  \
    PARAMS_TEMPERATURE(X)   \
    PARAMS_CURRENT(X)       \
    PARAMS_SUPERVISION(X)   \
    PARAMS_CONTACTORS(X)    \
    PARAMS_LIMITS(X)        \
    PARAMS_CHARGE_STATE(X)  \
    PARAMS_LINE(X)          \
    PARAMS_DIAGNOSTICS(X)   \
    PARAMS_GBT(X)           \
    PARAMS_MACHINE(X)

#endif
