/* SPDX-License-Identifier: Apache-2.0
 *
 * protect.h - protections with warning, alarm and trip tiers, driven by the table in protect_table.c.
 *
 * A tier becomes active when its quantity has been past the limit for the confirmation time without a break: one
 * sample inside the limit starts the time anew. It becomes inactive when the quantity has been back by the hysteresis
 * for the release time.
 */
#ifndef PROTECT_H
#define PROTECT_H

#include "bms_config.h"

/* In the order of the bits of BMS_Warnings; the first ones also of BMS_Alarms. */
enum {
    TIER_CELL_OVERVOLTAGE = 0,
    TIER_CELL_UNDERVOLTAGE,
    TIER_CHARGE_OVERTEMPERATURE,
    TIER_CHARGE_UNDERTEMPERATURE,
    TIER_DISCHARGE_OVERTEMPERATURE,
    TIER_DISCHARGE_UNDERTEMPERATURE,
    TIER_DISCHARGE_OVERCURRENT,
    TIER_CHARGE_OVERCURRENT,
    TIER_CELL_IMBALANCE,
    TIER_TEMPERATURE_SPREAD,
    TIER_INSULATION,
    ALARM_COUNT,
    WARNING_SUPPLY = ALARM_COUNT,
    WARNING_SOC_LOW,
    WARNING_SOC_HIGH,
    WARNING_INSULATION_MONITOR,
    WARNING_CELL_FROZEN,
    WARNING_PACK_FROZEN,
    WARNING_LINK_FROZEN,
    WARNING_CURRENT_FROZEN,
    WARNING_CAN_BUS_OFF,
    WARNING_LINE_VOLTAGE,
    WARNING_LINE_DEAD,
    ALARM_LINE_MESSAGE,
    WARNING_COUNT,
    TIER_NONE = 31
};

#define TIER_BIT(id) ((uint32_t)1U << (uint32_t)(id))

/* When a protection watches. Outside, its pending times are cleared; active tiers go on and may release. */
enum {
    WATCH_ALWAYS = 0x01,
    WATCH_CHARGING = 0x02,     /* current says so */
    WATCH_NOT_CHARGING = 0x04, /* discharging or at rest */
    WATCH_DRIVING = 0x08,      /* states precharge and drive */
    WATCH_CHARGE = 0x10        /* state charge */
};

/* One line of the table. Limits, times, hysteresis are positions in the parameter block. */
enum { RULE_WARNING = 0, RULE_ALARM, RULE_TRIP, RULE_TIERS };

typedef struct {
    uint8_t quantity;  /* Q_* */
    uint8_t watch;     /* WATCH_* */
    int8_t sign;       /* +1: above the limit, -1: below, or above with reversed sign of the quantity */
    int32_t factor;    /* sign * quantity is compared with factor * parameter */
    uint8_t fault;     /* FAULT_* or FAULT_NONE */
    uint8_t tier;      /* TIER_*, WARNING_* or TIER_NONE */
    uint16_t limit[RULE_TIERS]; /* RULE_UNUSED: no such tier; RULE_ZERO: the limit is 0 */
    uint16_t confirm_ms[RULE_TIERS];
    uint16_t hysteresis; /* RULE_ZERO: none */
    uint16_t release_ms;
} protect_rule;

#define RULE_UNUSED 0xFFFFU
#define RULE_ZERO 0xFFFEU

extern const protect_rule protect_table[];
extern const uint32_t protect_table_size;

/* Resolve the table with the parameters. Faults latched from the last power cycle count as present until their cause
 * has been seen gone. Returns the position of the parameter that stands in a wrong order (e.g. an alarm limit beyond
 * the trip limit), or PROTECT_OK. */
#define PROTECT_OK 0xFFFFU
uint32_t protect_init(uint32_t latched_faults);

/* Every 10 ms, after all quantities are put. watch = WATCH_* bits that hold now. */
void protect_step(uint32_t watch);

bool protect_pending(void); /* a tier is being confirmed or released */
uint32_t protect_causes(void);   /* FAULT_BIT mask of active trip tiers */
uint32_t protect_alarms(void);   /* TIER_BIT mask */
uint32_t protect_warnings(void); /* TIER_BIT mask */

#endif
