/* SPDX-License-Identifier: Apache-2.0
 *
 * A device under test that protects nothing: it reports what it is given and does what frame 0x7F0 tells it.
 *
 * Sends in every step (little endian):
 *   0x101  cell 1 in uV (int32), pack current in mA (int32)
 *   0x102  pack voltage in mV, link voltage in mV
 *   0x103  digital inputs (uint32), supply in mV
 *   0x104  power-ons counted in the NVM (uint32), steps since power-on (uint32)
 *   0x105  temperature sensor 1 in mdegC, now_us / 1000 + start_tick_ms (uint32, wraps)
 * and for every frame received 0x106: its identifier, its first four bytes.
 * Parameter "report" 0 switches all of that off. Parameter "filler" sends so many 8-byte frames 0x400... in every step.
 * Parameter "restart" is what it writes to can_restart in every step. Parameter "can_state" makes it send 0x107: state
 * of its CAN controller on bus 0 as int32, the worst so far.
 * Command frame 0x7F0: byte 0 is the command, byte 1 its argument.
 */
#include <stdio.h>
#include <string.h>

#include "fil.h"

enum {
    COMMAND_ID = 0x7F0,
    COMMAND_CONTACTORS = 1, /* drive FIL_OUT_* bits */
    COMMAND_BALANCE = 2,    /* so many bleed resistors on */
    COMMAND_FAIL = 3,       /* fil_step returns -7 */
    COMMAND_CRASH = 4,      /* null pointer */
    COMMAND_HANG = 5,       /* endless loop */
    COMMAND_BURST = 6,      /* so many frames at once, identifiers falling from 0x6FF */
    COMMAND_BAD_FRAME = 7,  /* a classic frame of 9 bytes */
    COMMAND_LIMITS = 8,     /* frame 0x110: charge limit (uint16), discharge limit (uint16, both 0.1 A), state */
    COMMAND_NOTE = 9,       /* one byte into the NVM */
    QUEUE = 512,
    RX_QUEUE = 64,
    MAGIC = 0x4543484F
};

typedef struct nvm_image {
    uint32_t magic;
    uint32_t power_ons;
    uint32_t note;
} nvm_image;

static fil_frame queue[QUEUE];
static int queued;
static int sent;
static fil_frame received[RX_QUEUE];
static int n_received;
static nvm_image nvm;
static uint32_t steps;
static uint32_t start_tick_ms;
static uint16_t n_cells;
static int32_t report = 1;
static int32_t filler;
static int32_t restart;
static int32_t report_can_state;
static uint32_t worst_can_state;
static uint32_t contactors;
static uint32_t balance;
static int failing;
static char error[80] = "no error";

static void put32(uint8_t *to, uint32_t value) {
    for (int i = 0; i < 4; i++) {
        to[i] = (uint8_t)(value >> 8 * i);
    }
}

static fil_frame *add(uint32_t id, uint8_t length) {
    fil_frame *frame = &queue[queued < QUEUE - 1 ? queued++ : queued];
    frame->id = id;
    frame->flags = 0;
    frame->bus = 0;
    frame->length = length;
    memset(frame->data, 0, 8);
    return frame;
}

static void add_pair(uint32_t id, uint32_t first, uint32_t second) {
    fil_frame *frame = add(id, 8);
    put32(frame->data, first);
    put32(frame->data + 4, second);
}

static void obey(const uint8_t *command) {
    switch (command[0]) {
    case COMMAND_CONTACTORS: contactors = command[1]; break;
    case COMMAND_BALANCE: balance = command[1]; break;
    case COMMAND_FAIL: failing = 1; break;
    case COMMAND_CRASH: *(volatile int *)(uintptr_t)(command[1]) = 1; break;
    case COMMAND_HANG:
        for (volatile int forever = 1; forever;) {
        }
        break;
    case COMMAND_BURST:
        for (int i = 0; i < command[1]; i++) {
            add(0x6FF - (uint32_t)i, 0);
        }
        break;
    case COMMAND_BAD_FRAME: add(0x111, 9); break;
    case COMMAND_LIMITS: memcpy(add(0x110, 5)->data, command + 1, 5); break;
    case COMMAND_NOTE: nvm.note = command[1]; break;
    default: break;
    }
}

uint32_t fil_abi_version(void) {
    return FIL_ABI_VERSION;
}

static int set_parameter(const fil_parameter *parameter) {
    if (strcmp(parameter->name, "report") == 0) {
        report = parameter->value;
    } else if (strcmp(parameter->name, "filler") == 0) {
        filler = parameter->value;
    } else if (strcmp(parameter->name, "restart") == 0) {
        restart = parameter->value;
    } else if (strcmp(parameter->name, "can_state") == 0) {
        report_can_state = parameter->value;
    } else {
        snprintf(error, sizeof error, "echo.c: unknown parameter %.40s", parameter->name);
        return -1;
    }
    return 0;
}

int fil_init(const fil_config *config) {
    for (int i = 0; i < config->n_parameters; i++) {
        if (set_parameter(&config->parameters[i]) < 0) {
            return -1;
        }
    }
    if (config->nvm != NULL && config->nvm_size == sizeof nvm) {
        memcpy(&nvm, config->nvm, sizeof nvm);
    }
    if (nvm.magic != MAGIC) {
        memset(&nvm, 0, sizeof nvm);
        nvm.magic = MAGIC;
    }
    nvm.power_ons++;
    n_cells = config->n_cells;
    start_tick_ms = config->start_tick_ms;
    return 0;
}

static void report_inputs(const fil_inputs *inputs) {
    add_pair(0x101, (uint32_t)inputs->cell_uv[0], (uint32_t)inputs->current_ma);
    add_pair(0x102, (uint32_t)inputs->pack_mv, (uint32_t)inputs->link_mv);
    add_pair(0x103, inputs->digital_in, (uint32_t)inputs->supply_mv);
    add_pair(0x104, nvm.power_ons, steps);
    add_pair(0x105, (uint32_t)inputs->temp_mdegc[0], (uint32_t)(inputs->now_us / 1000) + start_tick_ms);
}

int fil_step(const fil_inputs *inputs, fil_outputs *outputs) {
    steps++;
    for (int i = 0; i < n_received; i++) {
        if (received[i].id == COMMAND_ID) {
            obey(received[i].data);
        }
        if (report) {
            uint32_t first;
            memcpy(&first, received[i].data, 4);
            add_pair(0x106, received[i].id, first);
        }
    }
    n_received = 0;
    if (report) {
        report_inputs(inputs);
    }
    worst_can_state = inputs->can_state[0] > worst_can_state ? inputs->can_state[0] : worst_can_state;
    if (report_can_state) {
        add_pair(0x107, inputs->can_state[0], worst_can_state);
    }
    for (int32_t i = 0; i < filler; i++) {
        add_pair(0x400 + (uint32_t)i, (uint32_t)inputs->cell_uv[i], steps);
    }
    outputs->contactors = contactors;
    outputs->digital_out = 0;
    outputs->can_restart = (uint32_t)restart;
    for (uint32_t i = 0; i < n_cells; i++) {
        outputs->balancing[i] = i < balance;
    }
    if (failing) {
        snprintf(error, sizeof error, "echo.c:%d: told to fail", __LINE__);
        return -7;
    }
    return 0;
}

int fil_can_rx(const fil_frame *frame) {
    if (n_received == RX_QUEUE || frame->flags >= FIL_FRAME_ERROR) {
        return -1; /* full, or a frame with flags that none has on a bus */
    }
    received[n_received++] = *frame;
    return 0;
}

int fil_can_tx(fil_frame *frames, int max) {
    int n = 0;
    while (n < max && sent < queued) {
        frames[n++] = queue[sent++];
    }
    if (sent == queued) {
        sent = queued = 0;
    }
    return n;
}

int fil_nvm(int op, uint8_t *buffer, uint32_t size) {
    if (op == FIL_NVM_SIZE) {
        return (int)sizeof nvm;
    }
    if (size < sizeof nvm) {
        return -1;
    }
    memcpy(buffer, &nvm, sizeof nvm);
    return (int)sizeof nvm;
}

const char *fil_last_error(void) {
    return error;
}
