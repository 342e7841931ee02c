/* SPDX-License-Identifier: Apache-2.0
 *
 * outside.c - stands in for a controller that is outside of this process, on a bench. It decides nothing: it drives what
 * the real one was seen to drive, and sends the frames the real one was heard to send. What the controller is given and
 * what the others send it leaves the kernel by other ways (kernel/outside_types.h).
 */
#include "outside.h"

#include <string.h>

enum { FRAMES = 128 };

static uint32_t driven;
static uint16_t n_cells;
static fil_frame frames[FRAMES];
static uint32_t first;
static uint32_t waiting;

void outside_drive(uint32_t contactors) {
    driven = contactors;
}

void outside_frame(const fil_frame *frame) {
    if (waiting == FRAMES) {
        first = (first + 1) % FRAMES;
        waiting--;
    }
    frames[(first + waiting++) % FRAMES] = *frame;
}

uint32_t fil_abi_version(void) {
    return FIL_ABI_VERSION;
}

int fil_init(const fil_config *config) {
    driven = 0;
    first = 0;
    waiting = 0;
    n_cells = config->n_cells;
    return 0;
}

int fil_step(const fil_inputs *inputs, fil_outputs *outputs) {
    (void)inputs;
    outputs->contactors = driven;
    outputs->digital_out = 0;
    outputs->can_restart = 0;
    memset(outputs->balancing, 0, n_cells);
    return 0;
}

int fil_can_rx(const fil_frame *frame) {
    (void)frame;
    return 0;
}

int fil_can_tx(fil_frame *out, int max) {
    int n = 0;
    while (n < max && waiting > 0) {
        out[n++] = frames[first];
        first = (first + 1) % FRAMES;
        waiting--;
    }
    return n;
}

/* The real one keeps its memory itself. */
int fil_nvm(int op, uint8_t *buffer, uint32_t size) {
    (void)op;
    (void)buffer;
    (void)size;
    return 0;
}

const char *fil_last_error(void) {
    return "";
}
