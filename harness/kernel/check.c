/* SPDX-License-Identifier: Apache-2.0
 *
 * check.c - refuses configurations the kernel cannot run. Whether they make sense is the rig file's business; this is
 * the last line before memory is touched.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "sim.h"

enum {
    MIN_CELLS = 12,
    MAX_CELLS = 400,
    MIN_TICK_US = 1000,
    MAX_TICK_US = 100000,
    MAX_PLAN = 100000,
    MAX_MESSAGES = 1000
};

static _Thread_local char text[BH_ERROR_TEXT];

__attribute__((format(printf, 1, 2))) static const char *say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return text;
}

/* The first that is not NULL. */
#define FIRST_PROBLEM(a, b) ((problem = (a)) != NULL || (problem = (b)) != NULL)

static const char *check_rising(const char *name, const double *values, int32_t n) {
    for (int32_t i = 0; values != NULL && i < n; i++) {
        if (!isfinite(values[i]) || (i > 0 && values[i] <= values[i - 1])) {
            return say("%s[%d] = %g: must be finite and rise", name, i, values[i]);
        }
    }
    return values == NULL ? say("%s is missing", name) : NULL;
}

/* low < value <= high for each */
static const char *check_range(const char *name, const double *values, int32_t n, double low, double high) {
    for (int32_t i = 0; values != NULL && i < n; i++) {
        if (!(values[i] >= low && values[i] <= high)) {
            return say("%s[%d] = %g: allowed %g..%g", name, i, values[i], low, high);
        }
    }
    return values == NULL ? say("%s is missing", name) : NULL;
}

/* One number of the configuration with its legal range. */
typedef struct bh_bounds {
    const char *name;
    double value;
    double low;
    double high;
} bh_bounds;

static const char *check_bounds(const bh_bounds *bounds, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!(bounds[i].value >= bounds[i].low && bounds[i].value <= bounds[i].high)) {
            return say("%s = %g: allowed %g..%g", bounds[i].name, bounds[i].value, bounds[i].low, bounds[i].high);
        }
    }
    return NULL;
}

#define CHECK_BOUNDS(bounds) check_bounds(bounds, sizeof(bounds) / sizeof(bounds)[0])

static const char *check_cell(const bh_cell_model *cell) {
    const bh_bounds bounds[] = {
        {"cell.n_soc", cell->n_soc, 2, 1000},
        {"cell.n_temp", cell->n_temp, 1, 100},
        {"cell.hysteresis_soc", cell->hysteresis_soc, 1e-6, 1},
        {"cell.r1_ratio", cell->r1_ratio, 0, 100},
        {"cell.r2_ratio", cell->r2_ratio, 0, 100},
        {"cell.tau1_s", cell->tau1_s, 1e-3, 1e6},
        {"cell.tau2_s", cell->tau2_s, 1e-3, 1e6},
        {"cell.reference_temp_degc", cell->reference_temp_degc, -100, 200},
    };
    const char *problem = CHECK_BOUNDS(bounds);
    if (problem != NULL || FIRST_PROBLEM(check_rising("cell.soc", cell->soc, cell->n_soc),
                                         check_rising("cell.temp_degc", cell->temp_degc, cell->n_temp)) ||
        FIRST_PROBLEM(check_range("cell.ocv_v", cell->ocv_v, cell->n_soc, 0, 10),
                      check_range("cell.hysteresis_v", cell->hysteresis_v, cell->n_soc, 0, 1)) ||
        FIRST_PROBLEM(check_range("cell.entropy_v_per_k", cell->entropy_v_per_k, cell->n_soc, -0.1, 0.1), NULL)) {
        return problem;
    }
    const int32_t n = cell->n_soc * cell->n_temp;
    return FIRST_PROBLEM(check_range("cell.r0_discharge_ohm", cell->r0_discharge_ohm, n, 1e-9, 100),
                         check_range("cell.r0_charge_ohm", cell->r0_charge_ohm, n, 1e-9, 100))
               ? problem
               : NULL;
}

static const char *check_cells(const bh_pack_config *pack) {
    const int32_t n = pack->n_cells;
    const char *problem;
    if (FIRST_PROBLEM(check_range("pack.capacity_ah", pack->capacity_ah, n, 1e-3, 1e5),
                      check_range("pack.soc", pack->soc, n, 0, 1)) ||
        FIRST_PROBLEM(check_range("pack.r_scale", pack->r_scale, n, 1e-3, 1e3),
                      check_range("pack.temp_degc", pack->temp_degc, n, -100, 200))) {
        return problem;
    }
    for (int32_t i = 0; pack->temp_cell != NULL && i < pack->n_temps; i++) {
        if (pack->temp_cell[i] < 0 || pack->temp_cell[i] >= n) {
            return say("pack.temp_cell[%d] = %d: allowed 0..%d", i, pack->temp_cell[i], n - 1);
        }
    }
    return pack->temp_cell == NULL ? "pack.temp_cell is missing" : NULL;
}

static const char *check_pack(const bh_pack_config *pack) {
    const bh_bounds bounds[] = {
        {"pack.n_cells", pack->n_cells, MIN_CELLS, MAX_CELLS},
        {"pack.n_temps", pack->n_temps, 1, MAX_CELLS},
        {"pack.heat_capacity_j_per_k", pack->heat_capacity_j_per_k, 1e-3, 1e9},
        {"pack.cooling_w_per_k", pack->cooling_w_per_k, 0, 1e6},
        {"pack.ambient_w_per_k", pack->ambient_w_per_k, 0, 1e6},
        {"pack.neighbour_w_per_k", pack->neighbour_w_per_k, 0, 1e6},
        {"pack.coolant_degc", pack->coolant_degc, -100, 200},
        {"pack.ambient_degc", pack->ambient_degc, -100, 200},
        {"pack.joint_ohm", pack->joint_ohm, 0, 1},
        {"pack.balancing_ohm", pack->balancing_ohm, 1e-3, 1e9},
        {"pack.self_discharge_ohm", pack->self_discharge_ohm, 1, 1e15},
        {"pack.link_capacitance_f", pack->link_capacitance_f, 1e-9, 10},
        {"pack.link_bleed_ohm", pack->link_bleed_ohm, 1, 1e15},
        {"pack.precharge_ohm", pack->precharge_ohm, 1e-3, 1e9},
        {"pack.contactor_close_s", pack->contactor_close_s, 0, 60},
        {"pack.contactor_open_s", pack->contactor_open_s, 0, 60},
        {"pack.fuse_rated_a", pack->fuse_rated_a, 0, 1e6},
        {"pack.fuse_i2t_a2s", pack->fuse_i2t_a2s, 0, 1e15},
        {"pack.insulation_positive_ohm", pack->insulation_positive_ohm, 0, 1e15},
        {"pack.insulation_negative_ohm", pack->insulation_negative_ohm, 0, 1e15},
        {"pack.supply_v", pack->supply_v, 0, 1000},
        {"pack.supply_min_v", pack->supply_min_v, 0, 1000},
    };
    const char *problem = CHECK_BOUNDS(bounds);
    return problem != NULL ? problem : check_cells(pack);
}

static const char *check_line(const bh_environment_config *environment) {
    const char *problem = NULL;
    if (environment->line_v == NULL) {
        return NULL;
    }
    if (environment->line_w == NULL || !(environment->line_min_v >= 0 && environment->line_min_v < environment->line_max_v)) {
        return "environment.line_w is missing, or line_min_v is not below line_max_v";
    }
    if (!(environment->float_v >= 0 && environment->float_v <= 1e5)) {
        return "environment.float_v must be in 0..100000 V";
    }
    return FIRST_PROBLEM(check_range("environment.line_v", environment->line_v, environment->n_load, 0, 1e5),
                         check_range("environment.line_w", environment->line_w, environment->n_load, 0, 1e8))
               ? problem
               : NULL;
}

static const char *check_environment(const bh_environment_config *environment) {
    const char *problem;
    if (environment->n_load < 1) {
        return "environment.n_load must be >= 1";
    }
    const bh_bounds bounds[] = {
        {"environment.load_min_link_v", environment->load_min_link_v, 0, 1e5},
        {"environment.auxiliary_w", environment->auxiliary_w, 0, 1e7},
        {"environment.limit_lag_s", environment->limit_lag_s, 0, 1e4},
        {"environment.limit_timeout_s", environment->limit_timeout_s, 0, 1e6},
        {"environment.charger_max_a", environment->charger_max_a, 0, 1e5},
        {"environment.charger_max_v", environment->charger_max_v, 0, 1e5},
        {"environment.charger_slope_a_per_s", environment->charger_slope_a_per_s, 1e-3, 1e9},
        {"environment.charger_protocol", environment->charger_protocol, BH_PROTOCOL_CYCLIC, BH_PROTOCOL_GBT_27930},
        {"environment.charger_min_v", environment->charger_min_v, 0, 1e5},
    };
    if ((problem = CHECK_BOUNDS(bounds)) != NULL || (problem = check_line(environment)) != NULL) {
        return problem;
    }
    return FIRST_PROBLEM(check_rising("environment.load_s", environment->load_s, environment->n_load),
                         check_range("environment.load_w", environment->load_w, environment->n_load, -1e8, 1e8))
               ? problem
               : NULL;
}

/* ---- bus and rest bus ---------------------------------------------------------------------------------------- */

static int fits(const bh_field *field, uint32_t length) {
    const uint32_t lead = field->big_endian ? 7 - field->start_bit % 8 : field->start_bit % 8;
    return field->length >= 1 && lead + field->length <= 64 && bh_field_end(field) <= length &&
           isfinite(field->scale) && field->scale != 0.0 && isfinite(field->offset);
}

static const char *check_protection(const bh_message *message, int32_t i) {
    const bh_field counter = {.start_bit = (uint16_t)message->counter_start_bit,
                              .length = (uint16_t)message->counter_length,
                              .scale = 1.0};
    if (message->counter_start_bit >= 0 &&
        (message->counter_length < 1 || message->counter_length > 8 || !fits(&counter, message->length) ||
         message->counter_max < 1 || message->counter_max >> message->counter_length != 0)) {
        return say("messages[%d] 0x%X: the counter does not fit (start bit %d, %d bits, largest value %d, %u bytes)", i,
                   message->id, message->counter_start_bit, message->counter_length, message->counter_max,
                   message->length);
    }
    const int crc_bytes = message->e2e_width == 16 || message->e2e_id_mode == BH_ID_NIBBLE ? 2 : 1;
    if (message->crc_byte >= 0 && message->crc_byte + crc_bytes > message->length) {
        return say("messages[%d] 0x%X: CRC in byte %d of %u", i, message->id, message->crc_byte, message->length);
    }
    if ((message->e2e_width != 0 && message->e2e_width != 8 && message->e2e_width != 16) ||
        message->e2e_id_mode > BH_ID_LIST_AFTER) {
        return say("messages[%d] 0x%X: e2e_width %u must be 0, 8 or 16, e2e_id_mode %u at most %d", i, message->id,
                   message->e2e_width, message->e2e_id_mode, BH_ID_LIST_AFTER);
    }
    return NULL;
}

static const char *check_message(const bh_config *config, int32_t i) {
    const bh_message *message = &config->messages[i];
    const int fd = (message->flags & FIL_FRAME_FD) != 0;
    if (message->id > ((message->flags & FIL_FRAME_EXTENDED) != 0 ? 0x1FFFFFFFU : 0x7FFU) ||
        message->length > (fd ? 64 : 8) || (message->flags & (FIL_FRAME_ERROR | FIL_FRAME_REMOTE)) != 0) {
        return say("messages[%d] 0x%X: no frame has this identifier, flags 0x%02X and %u bytes", i, message->id,
                   message->flags, message->length);
    }
    if (fd && config->bus.data_bitrate == 0) {
        return say("messages[%d] 0x%X: CAN FD on a bus without data_bitrate", i, message->id);
    }
    if (message->bus >= config->bus.n_buses || message->node == BH_NODE_DUT || message->node >= BH_NODE_FOREIGN) {
        return say("messages[%d] 0x%X: bus %u or node %u not possible", i, message->id, message->bus, message->node);
    }
    if (message->period_us != 0 && message->period_us < 1000) {
        return say("messages[%d] 0x%X: period_us = %u: allowed 0 (on demand) or >= 1000", i, message->id,
                   message->period_us);
    }
    return check_protection(message, i);
}

static const char *check_sent(const bh_config *config, int32_t i) {
    const bh_field *field = &config->sent_fields[i];
    const int plain = field->value >= BH_VALUE_CHARGER_VOLTAGE_V && field->value <= BH_VALUE_VEHICLE_POWER_W;
    if (!plain && field->value != BH_VALUE_LINE_VOLTAGE_V && field->value != BH_VALUE_POLE_CONTACT) {
        return say("sent_fields[%d]: value %d is none that is sent", i, field->value);
    }
    if (field->message < 0 || field->message >= config->n_messages) {
        return say("sent_fields[%d]: no message %d", i, field->message);
    }
    return fits(field, config->messages[field->message].length)
               ? NULL
               : say("sent_fields[%d]: start bit %u, %u bits do not fit", i, field->start_bit, field->length);
}

static const char *check_received(const bh_config *config, int32_t i) {
    const bh_field *field = &config->received_fields[i];
    if (field->value < BH_VALUE_CHARGE_LIMIT_A || field->value > BH_VALUE_READY_TO_CHARGE) {
        return say("received_fields[%d]: value %d is none that is received", i, field->value);
    }
    return fits(field, 64) && field->bus < config->bus.n_buses
               ? NULL
               : say("received_fields[%d]: start bit %u, %u bits, bus %u do not fit", i, field->start_bit,
                     field->length, field->bus);
}

static const char *check_restbus(const bh_config *config) {
    const char *problem = NULL;
    const bh_bounds counts[] = {
        {"n_messages", config->n_messages, 0, MAX_MESSAGES},
        {"n_sent_fields", config->n_sent_fields, 0, MAX_MESSAGES},
        {"n_received_fields", config->n_received_fields, 0, MAX_MESSAGES},
    };
    if ((problem = CHECK_BOUNDS(counts)) != NULL) {
        return problem;
    }
    if ((config->n_messages > 0 && config->messages == NULL) ||
        (config->n_sent_fields > 0 && config->sent_fields == NULL) ||
        (config->n_received_fields > 0 && config->received_fields == NULL)) {
        return "messages, sent_fields or received_fields is missing";
    }
    for (int32_t i = 0; i < config->n_messages && problem == NULL; i++) {
        problem = check_message(config, i);
    }
    for (int32_t i = 0; i < config->n_sent_fields && problem == NULL; i++) {
        problem = check_sent(config, i);
    }
    for (int32_t i = 0; i < config->n_received_fields && problem == NULL; i++) {
        problem = check_received(config, i);
    }
    return problem;
}

static const char *check_firmware(const bh_firmware *firmware) {
    if (firmware->abi_version == NULL || firmware->init == NULL || firmware->step == NULL ||
        firmware->can_rx == NULL || firmware->can_tx == NULL || firmware->nvm == NULL ||
        firmware->last_error == NULL) {
        return "a function of fil.h is missing in the firmware";
    }
    return NULL;
}

const char *bh_check(const bh_config *config) {
    const char *problem;
    const bh_bus_config *bus = &config->bus;
    const bh_bounds bounds[] = {
        {"tick_us", config->tick_us, MIN_TICK_US, MAX_TICK_US},
        {"max_events", config->max_events, 0, MAX_PLAN},
        {"max_faults", config->max_faults, 0, MAX_PLAN},
        {"bus.n_buses", bus->n_buses, 1, BH_MAX_BUSES},
        {"tester.bus", config->tester.bus, 0, bus->n_buses - 1},
        {"tester.request_id", config->tester.request_id, 0, config->tester.extended ? 0x1FFFFFFF : 0x7FF},
        {"bus.bitrate", bus->bitrate, 10000, 1000000},
        {"bus.data_bitrate", bus->data_bitrate != 0 ? bus->data_bitrate : bus->bitrate, bus->bitrate, 10000000},
    };
    if ((problem = CHECK_BOUNDS(bounds)) != NULL ||
        FIRST_PROBLEM(check_cell(&config->cell), check_pack(&config->pack)) ||
        FIRST_PROBLEM(check_environment(&config->environment), check_restbus(config))) {
        return problem;
    }
    return check_firmware(&config->firmware);
}
