/* SPDX-License-Identifier: Apache-2.0
 *
 * fil_port.c - the firmware port of the harness (fil.h) onto the application. The only file that knows fil.h.
 */
#include "fil.h"

#include "balance.h"
#include "bms.h"
#include "bms_assert.h"
#include "can_bus.h"
#include "can_rx.h"
#include "can_tx.h"
#include "contactor.h"
#include "defect.h"
#include "gbt.h"
#include "j1939.h"
#include "measure.h"
#include "nvm.h"
#include "parallel.h"
#include "params.h"
#include "protect.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#define US_PER_MS 1000U
#define ERROR_TEXT 256U
#define CAN_BUS 0U /* the one this controller is on */

static struct {
    uint64_t last_us;
    uint64_t pending_us; /* time not yet covered by a task */
    bool ready;          /* initialised and not down */
    bool started;        /* a step has been made */
    char error[ERROR_TEXT];
} port;

static jmp_buf panic_exit;

void bms_panic(const char *file, int line, const char *text) {
    (void)snprintf(port.error, sizeof port.error, "%s:%d: %s", file, line, text);
    port.ready = false;
    longjmp(panic_exit, 1);
}

static int refuse(int line, const char *text, const char *name) {
    (void)snprintf(port.error, sizeof port.error, "%s:%d: %s%s", __FILE__, line, text, name);
    return -1;
}

static int set_parameter(const fil_parameter *given) {
    const param_entry *entry = NULL;
    if (given->name == NULL) {
        return refuse(__LINE__, "a parameter without a name", "");
    }
    const int result = params_set(given->name, given->value, &entry);
    if (result == PARAM_UNKNOWN) {
        return refuse(__LINE__, "unknown parameter ", given->name);
    }
    if (result == PARAM_OUT_OF_RANGE) {
        (void)snprintf(port.error, sizeof port.error, "%s:%d: parameter %s = %ld, allowed %ld to %ld", __FILE__,
                       __LINE__, entry->name, (long)given->value, (long)entry->least, (long)entry->greatest);
        return -1;
    }
    return 0;
}

static int set_parameters(const fil_config *config) {
    params_load_defaults();
    for (uint32_t i = 0U; i < config->n_parameters; i++) {
        if (set_parameter(&config->parameters[i]) != 0) {
            return -1;
        }
    }
    return 0;
}

static int check_config(const fil_config *config) {
    if (config->abi_version != (uint32_t)FIL_ABI_VERSION) {
        return refuse(__LINE__, "fil.h of another version", "");
    }
    if ((config->n_cells == 0U) || (config->n_cells > BMS_MAX_CELLS)) {
        return refuse(__LINE__, "number of cells not in 1 to 400", "");
    }
    if ((config->n_temps == 0U) || (config->n_temps > BMS_MAX_TEMPS)) {
        return refuse(__LINE__, "number of temperature sensors not in 1 to 100", "");
    }
    if ((config->n_parameters > 0U) && (config->parameters == NULL)) {
        return refuse(__LINE__, "parameters announced but not given", "");
    }
    return 0;
}

uint32_t fil_abi_version(void) {
    return (uint32_t)FIL_ABI_VERSION;
}

int fil_init(const fil_config *config) {
    (void)memset(&port, 0, sizeof port);
    if ((check_config(config) != 0) || (set_parameters(config) != 0)) {
        return -1;
    }
    const bms_start start = {config->n_cells, config->n_temps, config->start_tick_ms,
                             config->variant, config->nvm,     config->nvm_size};
    if (setjmp(panic_exit) != 0) {
        return -1;
    }
    const uint32_t wrong = bms_init(&start);
    if (wrong != PROTECT_OK) {
        return refuse(__LINE__, "limits of warning, alarm and trip in a wrong order at parameter ", params_name(wrong));
    }
    port.ready = true;
    return 0;
}

static bool set(uint32_t word, uint32_t bit) {
    return (word & bit) != 0U;
}

static void take_inputs(const fil_inputs *from, bms_inputs *to) {
    to->cell_uv = from->cell_uv;
    to->cell_flags = from->cell_flags;
    to->cell_age_ms = from->cell_age_ms;
    to->temp_mdegc = from->temp_mdegc;
    to->temp_flags = from->temp_flags;
    to->current_ma = from->current_ma;
    to->pack_mv = from->pack_mv;
    to->link_mv = from->link_mv;
    to->charger_mv = from->charger_mv;
    to->insulation_ohm = (from->insulation_ohm > (uint32_t)INT32_MAX) ? INT32_MAX : (int32_t)from->insulation_ohm;
    to->supply_mv = from->supply_mv;
    to->current_valid = set(from->current_flags, FIL_VALID);
    to->pack_valid = set(from->pack_flags, FIL_VALID);
    to->link_valid = set(from->link_flags, FIL_VALID);
    to->insulation_valid = set(from->insulation_flags, FIL_VALID);
    to->ignition = set(from->digital_in, FIL_IN_IGNITION);
    to->plug = set(from->digital_in, FIL_IN_CHARGE_PLUG);
    to->hvil_closed = set(from->digital_in, FIL_IN_HVIL_CLOSED);
    to->crash = set(from->digital_in, FIL_IN_CRASH);
    to->can_bus_off = (from->n_buses > CAN_BUS) && (from->can_state != NULL) &&
                      (from->can_state[CAN_BUS] == (uint8_t)FIL_CAN_BUS_OFF);
    to->aux_closed[CONTACTOR_POSITIVE] = set(from->digital_in, FIL_IN_AUX_POSITIVE);
    to->aux_closed[CONTACTOR_NEGATIVE] = set(from->digital_in, FIL_IN_AUX_NEGATIVE);
    to->aux_closed[CONTACTOR_PRECHARGE] = set(from->digital_in, FIL_IN_AUX_PRECHARGE);
}

static void give_outputs(fil_outputs *outputs) {
    outputs->contactors = (contactor_commanded(CONTACTOR_POSITIVE) ? (uint32_t)FIL_OUT_POSITIVE : 0U) |
                          (contactor_commanded(CONTACTOR_NEGATIVE) ? (uint32_t)FIL_OUT_NEGATIVE : 0U) |
                          (contactor_commanded(CONTACTOR_PRECHARGE) ? (uint32_t)FIL_OUT_PRECHARGE : 0U);
    outputs->digital_out = 0U;
    outputs->can_restart = can_bus_restart() ? ((uint32_t)1U << CAN_BUS) : 0U;
    (void)memcpy(outputs->balancing, balance_bits(), measured->n_cells);
}

/* Time of the tasks that are due. The first step of a power cycle runs one, whatever the harness clock shows. */
static void advance(uint64_t now_us) {
    if (!port.started) {
        port.started = true;
        port.last_us = now_us;
        port.pending_us = (uint64_t)BMS_FAST_MS * US_PER_MS;
        return;
    }
    BMS_ASSERT(now_us >= port.last_us, "time runs backwards");
    BMS_ASSERT((now_us - port.last_us) <= ((uint64_t)BMS_WATCHDOG_MS * US_PER_MS), "watchdog: the task was not called");
    port.pending_us += now_us - port.last_us;
    port.last_us = now_us;
}

int fil_step(const fil_inputs *inputs, fil_outputs *outputs) {
    if (!port.ready) {
        return -1; /* the text is that of what brought it down */
    }
    if (setjmp(panic_exit) != 0) {
        return -1;
    }
    bms_inputs taken;
    take_inputs(inputs, &taken);
    advance(inputs->now_us);
    while (port.pending_us >= ((uint64_t)BMS_FAST_MS * US_PER_MS)) {
        port.pending_us -= (uint64_t)BMS_FAST_MS * US_PER_MS;
        bms_task(&taken);
    }
    give_outputs(outputs);
    return 0;
}

uint32_t fil_idle(void) {
    return (port.ready && port.started) ? bms_idle_ms() : 0U;
}

int fil_pass(uint32_t ms) {
    if ((ms > fil_idle()) || ((ms % BMS_SECOND_MS) != 0U)) {
        return refuse(__LINE__, "more time to pass than there is, or not whole seconds", "");
    }
    bms_pass(ms);
    port.last_us += (uint64_t)ms * US_PER_MS;
    return 0;
}

int fil_can_rx(const fil_frame *frame) {
    const uint8_t other = (uint8_t)(FIL_FRAME_FD | FIL_FRAME_REMOTE | FIL_FRAME_ERROR);
    if (!port.ready || (frame->bus != CAN_BUS) || ((frame->flags & other) != 0U)) {
        return 0; /* not for this controller */
    }
    if ((frame->flags & (uint8_t)FIL_FRAME_EXTENDED) != 0U) {
        if (!j1939_push(frame->id, frame->length, frame->data)) {
            gbt_push(frame->id, frame->length, frame->data);
        }
        return 0;
    }
    strings_hear(frame->id, frame->length, frame->data);
    if (!can_rx_push(strings_local_id(frame->id), frame->length, frame->data)) {
        return refuse(__LINE__, "receive queue full", "");
    }
    return 0;
}

int fil_can_tx(fil_frame *frames, int max) {
    int count = 0;
    can_frame queued;
    while ((count < max) && can_tx_pop(&queued)) {
        fil_frame *frame = &frames[count];
        frame->id = queued.extended ? queued.id : strings_bus_id(queued.id);
        frame->flags = queued.extended ? (uint8_t)FIL_FRAME_EXTENDED : 0U;
        frame->bus = CAN_BUS;
        frame->length = queued.length;
        frame->reserved = 0U;
        (void)memcpy(frame->data, queued.data, queued.length);
        count++;
    }
    return count;
}

int fil_nvm(int op, uint8_t *buffer, uint32_t size) {
    if (op == (int)FIL_NVM_SIZE) {
        return (int)NVM_SIZE;
    }
    if (op == (int)FIL_NVM_READ) {
        const uint32_t copied = nvm_read(buffer, size);
        return (copied > 0U) ? (int)copied : refuse(__LINE__, "buffer smaller than the image", "");
    }
    return refuse(__LINE__, "unknown operation on the non-volatile image", "");
}

const char *fil_last_error(void) {
    return port.error;
}

#ifdef BMS_DEFECTS
int bms_defect;

int fil_defect(int id) {
    if ((id < 0) || (id > DEFECT_LAST)) {
        return refuse(__LINE__, "no such defect", "");
    }
    bms_defect = id;
    return 0;
}
#else
/* The product has none: only "none" can be chosen. */
int fil_defect(int id) {
    return (id == 0) ? 0 : refuse(__LINE__, "not built with BMS_DEFECTS", "");
}
#endif
