/* SPDX-License-Identifier: Apache-2.0
 *
 * protect.c - evaluates the table of protections.
 */
#include "protect.h"

#include "bms_assert.h"
#include "defect.h"
#include "faults.h"
#include "measure.h"
#include "params.h"

#include <string.h>

#define MAX_RULES 64U
#define NEVER INT32_MAX /* a limit no quantity exceeds */

/* A rule with its parameters worked in: active when sign * quantity > limit. */
typedef struct {
    int32_t limit[RULE_TIERS];
    int32_t release[RULE_TIERS];
    int32_t confirm_ms[RULE_TIERS];
    int32_t release_ms;
    int32_t pending_ms[RULE_TIERS];
    int32_t releasing_ms[RULE_TIERS];
    bool active[RULE_TIERS];
} rule_state;

static struct {
    int32_t threshold[MAX_RULES]; /* mildest limit of each rule: below it an idle rule needs no look */
    bool busy[MAX_RULES];         /* something pending or active */
    rule_state rule[MAX_RULES];
    uint32_t causes;
    uint32_t alarms;
    uint32_t warnings;
} protect;

static int32_t resolve(uint16_t index, int32_t factor) {
    return (index >= RULE_ZERO) ? 0 : (factor * params_value(index));
}

static int32_t hysteresis_of(const protect_rule *line) {
    return resolve(line->hysteresis, (line->factor < 0) ? -line->factor : line->factor);
}

static void resolve_rule(const protect_rule *line, rule_state *rule, int32_t *threshold) {
    *threshold = NEVER;
    rule->release_ms = resolve(line->release_ms, 1);
    for (uint32_t tier = 0U; tier < (uint32_t)RULE_TIERS; tier++) {
        if (line->limit[tier] == RULE_UNUSED) {
            rule->limit[tier] = NEVER;
            continue;
        }
        rule->limit[tier] = resolve(line->limit[tier], line->factor);
        rule->release[tier] = rule->limit[tier] - hysteresis_of(line);
        rule->confirm_ms[tier] = resolve(line->confirm_ms[tier], 1);
        if (DEFECT(53) && (line->fault == (uint8_t)FAULT_VOLTAGE_PLAUSIBILITY)) {
            rule->confirm_ms[tier] /= (int32_t)BMS_FAST_MS;
        }
        if (DEFECT(52) && (line->tier == (uint8_t)TIER_INSULATION) && (tier == (uint32_t)RULE_ALARM)) {
            rule->confirm_ms[tier] = NEVER;
        }
        *threshold = bms_min(*threshold, rule->limit[tier]);
    }
}

/* Seeded defects in how the tiers of a rule are read from its line. */
static void seed_times(const protect_rule *line, rule_state *rule) {
    int32_t *confirm_ms = rule->confirm_ms;
    if (DEFECT(62) && (line->tier == (uint8_t)TIER_CELL_OVERVOLTAGE)) {
        confirm_ms[RULE_WARNING] = confirm_ms[RULE_ALARM];
    }
    if ((DEFECT(64) && (line->tier == (uint8_t)TIER_CELL_UNDERVOLTAGE)) ||
        (DEFECT(75) && (line->tier == (uint8_t)TIER_CHARGE_OVERCURRENT))) {
        confirm_ms[RULE_ALARM] *= (int32_t)BMS_FAST_MS;
    }
    if (DEFECT(69) && (line->tier == (uint8_t)TIER_DISCHARGE_UNDERTEMPERATURE)) {
        confirm_ms[RULE_ALARM] = confirm_ms[RULE_TRIP];
    }
    if (DEFECT(83) && (line->tier == (uint8_t)WARNING_SUPPLY)) {
        confirm_ms[RULE_TRIP] = confirm_ms[RULE_WARNING];
    }
    if (DEFECT(84) && (line->tier == (uint8_t)WARNING_CAN_BUS_OFF)) {
        rule->release_ms = 0;
    }
}

static void seed_limits(const protect_rule *line, rule_state *rule, int32_t *threshold) {
    int32_t *limit = rule->limit;
    if (DEFECT(63) && (line->tier == (uint8_t)TIER_CELL_UNDERVOLTAGE)) {
        limit[RULE_WARNING] = limit[RULE_ALARM];
    }
    if (DEFECT(65) && (line->tier == (uint8_t)TIER_CELL_IMBALANCE)) {
        limit[RULE_WARNING] = NEVER;
    }
    if (DEFECT(66) && (line->limit[RULE_WARNING] < RULE_ZERO) && (limit[RULE_WARNING] == 0)) {
        limit[RULE_WARNING] = NEVER;
    }
    if (DEFECT(67) && (line->tier == (uint8_t)TIER_CHARGE_UNDERTEMPERATURE)) {
        limit[RULE_ALARM] = -params->discharge_ut_alarm_mdegc;
    }
    if (DEFECT(68) && (line->tier == (uint8_t)TIER_DISCHARGE_UNDERTEMPERATURE)) {
        limit[RULE_WARNING] = -limit[RULE_WARNING];
        *threshold = limit[RULE_WARNING];
    }
    if (DEFECT(71) && (line->tier == (uint8_t)TIER_DISCHARGE_OVERCURRENT)) {
        limit[RULE_ALARM] += hysteresis_of(line);
    }
    if (DEFECT(100) && (line->tier == (uint8_t)WARNING_SOC_LOW)) {
        limit[RULE_WARNING] = -(params->soc_low_permille / 10);
    }
}

/* Seeded defects in how what has tripped lets go. */
static void seed_release(const protect_rule *line, rule_state *rule) {
    if (DEFECT(482) && (line->fault == (uint8_t)FAULT_CHARGE_OVERTEMPERATURE)) {
        rule->release[RULE_TRIP] = -rule->release[RULE_TRIP];
    }
    if (DEFECT(483) && (line->fault == (uint8_t)FAULT_CHARGE_UNDERTEMPERATURE)) {
        rule->release[RULE_TRIP] = rule->limit[RULE_TRIP] - (hysteresis_of(line) * (int32_t)BMS_FAST_MS);
    }
    if (DEFECT(484) && (line->fault == (uint8_t)FAULT_DISCHARGE_OVERTEMPERATURE)) {
        rule->release[RULE_TRIP] = -hysteresis_of(line);
    }
    if (DEFECT(485) && (line->fault == (uint8_t)FAULT_DISCHARGE_UNDERTEMPERATURE)) {
        rule->release_ms = NEVER;
    }
    if (DEFECT(486) && (line->fault == (uint8_t)FAULT_TEMPERATURE_SPREAD)) {
        rule->release[RULE_TRIP] = -hysteresis_of(line);
    }
    if (DEFECT(487) && (line->fault == (uint8_t)FAULT_CELL_IMBALANCE)) {
        rule->release_ms *= (int32_t)BMS_FAST_MS;
    }
    if (DEFECT(488) && (line->fault == (uint8_t)FAULT_SUPPLY) && (line->tier == (uint8_t)WARNING_SUPPLY)) {
        rule->release[RULE_TRIP] = -params->supply_high_trip_mv;
    }
    if (DEFECT(489) && (line->fault == (uint8_t)FAULT_INSULATION)) {
        rule->release[RULE_TRIP] = 10 * rule->limit[RULE_WARNING];
    }
    if (DEFECT(490) && (line->fault == (uint8_t)FAULT_VOLTAGE_PLAUSIBILITY)) {
        rule->release[RULE_TRIP] = -hysteresis_of(line);
    }
    if (DEFECT(498) && (line->fault == (uint8_t)FAULT_LINE_VOLTAGE)) {
        rule->release_ms *= (int32_t)BMS_FAST_MS;
    }
    /* "Less than none" is never true of a number of things. */
    const bool below_none = (DEFECT(491) && (line->fault == (uint8_t)FAULT_OPEN_SENSE_WIRE)) ||
                            (DEFECT(492) && (line->fault == (uint8_t)FAULT_CELLS_INVALID)) ||
                            (DEFECT(493) && (line->fault == (uint8_t)FAULT_TEMPERATURE_SENSOR)) ||
                            (DEFECT(494) && (line->fault == (uint8_t)FAULT_CURRENT_SENSOR));
    if (below_none) {
        rule->release[RULE_TRIP] = -1;
    }
    if (DEFECT(497) && (line->fault == (uint8_t)FAULT_MEASUREMENT_STALE)) {
        rule->release_ms = rule->limit[RULE_TRIP] * (int32_t)BMS_FAST_MS * (int32_t)BMS_FAST_MS;
    }
}

/* Whether the value of a rule goes unseen now. */
static bool seeded_unseen(const protect_rule *line, bool watched) {
    return (DEFECT(495) && !watched && (line->fault == (uint8_t)FAULT_VEHICLE_TIMEOUT)) ||
           (DEFECT(496) && !watched && (line->fault == (uint8_t)FAULT_CHARGER_TIMEOUT));
}

/* Warning, alarm and trip must follow each other; the parameter of the tier that does not is named. */
static uint32_t check_order(const protect_rule *line, const rule_state *rule) {
    int32_t before = -INT32_MAX;
    for (uint32_t tier = 0U; tier < (uint32_t)RULE_TIERS; tier++) {
        if (line->limit[tier] == RULE_UNUSED) {
            continue;
        }
        if (rule->limit[tier] < before) {
            return line->limit[tier];
        }
        before = rule->limit[tier];
    }
    return PROTECT_OK;
}

uint32_t protect_init(uint32_t latched_faults) {
    BMS_ASSERT(protect_table_size <= MAX_RULES, "more protections than room for them");
    (void)memset(&protect, 0, sizeof protect);
    for (uint32_t i = 0U; i < protect_table_size; i++) {
        const protect_rule *line = &protect_table[i];
        resolve_rule(line, &protect.rule[i], &protect.threshold[i]);
        const uint32_t wrong = check_order(line, &protect.rule[i]);
        if (wrong != PROTECT_OK) {
            return wrong;
        }
        seed_times(line, &protect.rule[i]);
        seed_limits(line, &protect.rule[i], &protect.threshold[i]);
        seed_release(line, &protect.rule[i]);
        if ((line->fault != (uint8_t)FAULT_NONE) && ((latched_faults & FAULT_BIT(line->fault)) != 0U)) {
            protect.rule[i].active[RULE_TRIP] = true;
            protect.busy[i] = true;
            protect.causes |= FAULT_BIT(line->fault);
        }
    }
    return PROTECT_OK;
}

/* An active tier releases after the quantity has been back for the release time. */
static void release_tier(rule_state *rule, uint32_t tier, int32_t value, bool known) {
    if (!known || (value > rule->release[tier])) {
        rule->releasing_ms[tier] = 0;
        return;
    }
    rule->releasing_ms[tier] += (int32_t)BMS_FAST_MS;
    if (rule->releasing_ms[tier] >= (DEFECT(6) ? 0 : rule->release_ms)) {
        rule->active[tier] = false;
        rule->releasing_ms[tier] = 0;
    }
}

/* An idle tier becomes active after the quantity has been past the limit for the confirmation time. */
static void confirm_tier(rule_state *rule, uint32_t tier, int32_t value, bool watched) {
    if (!watched || (value <= rule->limit[tier])) {
        rule->pending_ms[tier] = DEFECT(1) ? rule->pending_ms[tier] : 0;
        return;
    }
    rule->pending_ms[tier] += (int32_t)BMS_FAST_MS;
    if (rule->pending_ms[tier] >= rule->confirm_ms[tier]) {
        rule->active[tier] = true;
        rule->pending_ms[tier] = 0;
    }
}

static bool evaluate(rule_state *rule, int32_t value, bool known, bool watched) {
    bool busy = false;
    for (uint32_t tier = 0U; tier < (uint32_t)RULE_TIERS; tier++) {
        if (rule->limit[tier] == NEVER) {
            continue;
        }
        if (rule->active[tier]) {
            release_tier(rule, tier, value, known);
        } else {
            confirm_tier(rule, tier, value, known && watched);
        }
        busy = busy || rule->active[tier] || (rule->pending_ms[tier] > 0);
    }
    return busy;
}

/* Add what a busy rule has active to the masks. */
static void collect(const protect_rule *line, const rule_state *rule) {
    if (rule->active[RULE_TRIP] && (line->fault != (uint8_t)FAULT_NONE)) {
        protect.causes |= FAULT_BIT(line->fault);
    }
    if (line->tier != (uint8_t)TIER_NONE) {
        const bool swapped = DEFECT(70) && (line->tier == (uint8_t)TIER_DISCHARGE_OVERCURRENT);
        protect.alarms |= rule->active[swapped ? RULE_WARNING : RULE_ALARM] ? TIER_BIT(line->tier) : 0U;
        const bool shared = DEFECT(32) && (line->tier == (uint8_t)WARNING_SOC_HIGH);
        protect.warnings |= rule->active[swapped ? RULE_ALARM : RULE_WARNING]
                                ? TIER_BIT(shared ? (uint8_t)WARNING_SOC_LOW : line->tier)
                                : 0U;
    }
}

static uint32_t watch_of(const protect_rule *line) {
    if (DEFECT(74) && (line->tier == (uint8_t)TIER_CHARGE_OVERCURRENT)) {
        return (uint32_t)WATCH_CHARGE;
    }
    return (DEFECT(5) && (line->fault == (uint8_t)FAULT_DISCHARGE_OVERTEMPERATURE)) ? (uint32_t)WATCH_CHARGING
                                                                                      : (uint32_t)line->watch;
}

void protect_step(uint32_t watch) {
    protect.causes = 0U;
    protect.alarms = 0U;
    protect.warnings = 0U;
    for (uint32_t i = 0U; i < protect_table_size; i++) {
        const protect_rule *line = &protect_table[i];
        const int32_t value = line->sign * measured->q[line->quantity];
        if (!protect.busy[i] && (value <= protect.threshold[i])) {
            continue;
        }
        const bool watched = (watch & watch_of(line)) != 0U;
        const bool known = ((measured->known & Q_BIT(line->quantity)) != 0U) && !seeded_unseen(line, watched);
        protect.busy[i] = evaluate(&protect.rule[i], value, known, watched);
        collect(line, &protect.rule[i]);
    }
}

bool protect_pending(void) {
    bool pending = false;
    for (uint32_t i = 0U; i < protect_table_size; i++) {
        for (uint32_t tier = 0U; tier < (uint32_t)RULE_TIERS; tier++) {
            const rule_state *rule = &protect.rule[i];
            pending = pending || (rule->pending_ms[tier] > 0) || (rule->releasing_ms[tier] > 0);
        }
    }
    return pending;
}

uint32_t protect_causes(void) {
    return protect.causes;
}

uint32_t protect_alarms(void) {
    return protect.alarms;
}

uint32_t protect_warnings(void) {
    return protect.warnings & (DEFECT(82) ? (TIER_BIT(ALARM_COUNT) - 1U) : UINT32_MAX);
}
