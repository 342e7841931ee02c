/* SPDX-License-Identifier: Apache-2.0
 *
 * A firmware that goes wrong on request: fil_config.variant says how, the comments at the right say where.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fil.h"

enum {
    BEHAVES,
    ASSERTS,
    LOOPS,
    NULL_POINTER,
    NULL_CALL,
    STACK_OVERFLOW,
    DIVIDES_BY_ZERO,
    COPIES_TO_NULL,
    BUFFER_OVERFLOW,
    LOOPS_IN_INIT,
    SHIFTS_TOO_FAR,
    ARRAY_OVERFLOW,
    IS_SLOW
};

static uint16_t variant;
static volatile uint32_t spins;
static uint8_t history[8];
static uint32_t steps;
static uint32_t initialised = 7;
static int defect;
static void (*volatile handler)(void);
static uint8_t *volatile nowhere;
static volatile int32_t zero;

static int32_t recurse(int32_t depth) {
    volatile uint8_t frame[4096];
    frame[0] = (uint8_t)depth;
    frame[4095] = frame[0];
    return recurse(depth + 1) + frame[4095]; /* at: stack overflow */
}

static void spin(void) {
    for (;;) {
        spins++; /* at: loop */
    }
}

static __attribute__((noinline)) void write_at(volatile uint8_t *buffer, uint32_t index) {
    buffer[index] = 1; /* at: buffer overflow */
}

uint32_t fil_abi_version(void) {
    return FIL_ABI_VERSION;
}

int fil_init(const fil_config *config) {
    variant = config->variant;
    if (variant == LOOPS_IN_INIT) {
        spin();
    }
    return 0;
}

int fil_step(const fil_inputs *inputs, fil_outputs *outputs) {
    steps++;
    initialised += 3;
    outputs->contactors = steps;
    outputs->digital_out = initialised;
    switch (variant) {
    case ASSERTS:
        assert(inputs->now_us < 30000); /* at: assert */
        break;
    case LOOPS:
        spin();
        break;
    case NULL_POINTER:
        *nowhere = 1; /* at: null pointer */
        break;
    case NULL_CALL:
        handler(); /* at: null call */
        break;
    case STACK_OVERFLOW:
        outputs->digital_out = (uint32_t)recurse(0);
        break;
    case DIVIDES_BY_ZERO:
        outputs->digital_out = (uint32_t)(100 / zero); /* at: division */
        break;
    case COPIES_TO_NULL:
        memset(nowhere, 1, 4096u + (uint32_t)zero); /* at: memset */
        break;
    case BUFFER_OVERFLOW:
        write_at(history, steps * 3u);
        break;
    case ARRAY_OVERFLOW:
        history[steps * 3u] = 1; /* at: array overflow */
        break;
    case SHIFTS_TOO_FAR:
        outputs->digital_out = 1u << (steps + 30u); /* at: shift */
        break;
    case IS_SLOW: /* a few ms a call */
        for (uint32_t i = 0; i < 2000000u; i++) {
            spins++;
        }
        break;
    default:
        break;
    }
    return defect;
}

int fil_can_rx(const fil_frame *frame) {
    (void)frame;
    return 0;
}

int fil_can_tx(fil_frame *frames, int max) {
    (void)frames;
    (void)max;
    return 0;
}

int fil_nvm(int op, uint8_t *buffer, uint32_t size) {
    (void)op;
    (void)buffer;
    (void)size;
    return 0;
}

const char *fil_last_error(void) {
    return "";
}

int fil_defect(int id) {
    defect = -id;
    return id > 9 ? -1 : 0;
}
