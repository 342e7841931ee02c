/* SPDX-License-Identifier: Apache-2.0
 *
 * faults.h - which faults are active, which are latched, which came first.
 */
#ifndef FAULTS_H
#define FAULTS_H

#include "bms_config.h"

/* In the order of the bits of BMS_Faults. The fault memory stores these numbers: append only. */
enum {
    FAULT_CELL_OVERVOLTAGE = 0,
    FAULT_CELL_UNDERVOLTAGE,
    FAULT_CHARGE_OVERTEMPERATURE,
    FAULT_CHARGE_UNDERTEMPERATURE,
    FAULT_DISCHARGE_OVERTEMPERATURE,
    FAULT_DISCHARGE_UNDERTEMPERATURE,
    FAULT_DISCHARGE_OVERCURRENT,
    FAULT_CHARGE_OVERCURRENT,
    FAULT_SHORT_CIRCUIT,
    FAULT_CELL_IMBALANCE,
    FAULT_TEMPERATURE_SPREAD,
    FAULT_OPEN_SENSE_WIRE,
    FAULT_VOLTAGE_PLAUSIBILITY,
    FAULT_MEASUREMENT_STALE,
    FAULT_CELLS_INVALID,
    FAULT_TEMPERATURE_SENSOR,
    FAULT_CURRENT_SENSOR,
    FAULT_INSULATION,
    FAULT_HVIL,
    FAULT_SUPPLY,
    FAULT_VEHICLE_TIMEOUT,
    FAULT_CHARGER_TIMEOUT,
    FAULT_PRECHARGE,
    FAULT_CONTACTOR_WELDED,
    FAULT_CONTACTOR_STUCK,
    FAULT_THERMAL_RUNAWAY,
    FAULT_CRASH,
    FAULT_NVM,
    FAULT_INTERNAL,
    FAULT_LINE_VOLTAGE,      /* these three only where the system has what they watch */
    FAULT_CHARGING_PROTOCOL,
    FAULT_STRING_UNEQUAL,
    FAULT_COUNT,
    FAULT_NONE = FAULT_COUNT
};

#define FAULT_BIT(id) ((uint32_t)1U << (uint32_t)(id))

/* Released by a reset request only, while the cause is gone. Kept over a power cycle. */
#define FAULTS_LATCHING                                                                               \
    (FAULT_BIT(FAULT_CELL_OVERVOLTAGE) | FAULT_BIT(FAULT_CELL_UNDERVOLTAGE) |                         \
     FAULT_BIT(FAULT_SHORT_CIRCUIT) | FAULT_BIT(FAULT_HVIL) | FAULT_BIT(FAULT_PRECHARGE) |            \
     FAULT_BIT(FAULT_CONTACTOR_WELDED) | FAULT_BIT(FAULT_THERMAL_RUNAWAY) | FAULT_BIT(FAULT_CRASH) |  \
     FAULT_BIT(FAULT_NVM))

/* The contactors open without waiting for the limits to reach the load. */
#define FAULTS_URGENT (FAULT_BIT(FAULT_SHORT_CIRCUIT) | FAULT_BIT(FAULT_CRASH))

/* Start with the latched faults of the last power cycle. */
void faults_init(uint32_t latched);

/* Report an event that has no lasting cause, e.g. the third failed precharge. */
void faults_raise(uint32_t id);

/* Take over the causes present now. reset = a reset request came in this task. */
void faults_update(uint32_t causes, bool reset);

uint32_t faults_active(void);  /* bit mask by FAULT_* */
uint32_t faults_latched(void); /* bit mask by FAULT_* */
uint32_t faults_first(void);   /* FAULT_*, FAULT_NONE when none is active */
uint32_t faults_count(uint32_t mask);

#endif
