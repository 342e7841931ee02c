/* SPDX-License-Identifier: Apache-2.0
 *
 * The smallest kernel that guards firmware calls and copies firmware memory: guard.c and state.c without a simulation.
 */
#include <string.h>

#include "guard.h"
#include "state.h"

uint32_t bh_abi_version(void) {
    return BH_ABI_VERSION;
}

typedef struct drive_job {
    bh_guard guard;
    bh_image image;
    const bh_firmware *firmware;
    int32_t variant; /* < 0: no power-on, go on stepping */
    int64_t n_steps;
    uint64_t now_us;
    int32_t crash_between; /* 1 = the host itself crashes between two calls */
    fil_outputs outputs;
} drive_job;

static int drive_body(void *context) {
    drive_job *job = context;
    fil_inputs inputs;
    memset(&inputs, 0, sizeof inputs);
    if (job->variant >= 0) {
        fil_config config;
        memset(&config, 0, sizeof config);
        config.abi_version = FIL_ABI_VERSION;
        config.variant = (uint16_t)job->variant;
        bh_guard_begin(&job->guard);
        const int started = job->firmware->init(&config);
        bh_guard_end(&job->guard);
        if (started < 0) {
            return BH_FIRMWARE_ERROR;
        }
    }
    for (int64_t i = 0; i < job->n_steps; i++) {
        job->now_us += 10000;
        inputs.now_us = job->now_us;
        bh_guard_begin(&job->guard);
        const int stepped = job->firmware->step(&inputs, &job->outputs);
        bh_guard_end(&job->guard);
        if (stepped < 0) {
            return BH_FIRMWARE_ERROR;
        }
        if (job->crash_between != 0) {
            *(volatile uint8_t *)(uintptr_t)16 = 1;
        }
    }
    return BH_OK;
}

/* Power the firmware on (variant >= 0) and step it. place: program counter of a cut. outputs: [2]. */
int drive(const bh_firmware *firmware, int32_t variant, int64_t n_steps, int32_t crash_between, uint64_t *place,
          uint32_t *outputs, char *text, size_t text_size) {
    drive_job job;
    memset(&job, 0, sizeof job);
    bh_image_find(firmware->address, &job.image);
    job.firmware = firmware;
    job.variant = variant;
    job.n_steps = n_steps;
    job.crash_between = crash_between;
    const int result = bh_guard_run(&job.guard, &job.image, drive_body, &job);
    *place = job.guard.address;
    outputs[0] = job.outputs.contactors;
    outputs[1] = job.outputs.digital_out;
    bh_guard_text(&job.guard, result, text, text_size);
    return result;
}

/* The same loop without a guard, to measure what it costs. */
int drive_bare(const bh_firmware *firmware, int64_t n_steps) {
    fil_inputs inputs;
    fil_outputs outputs;
    memset(&inputs, 0, sizeof inputs);
    memset(&outputs, 0, sizeof outputs);
    for (int64_t i = 0; i < n_steps; i++) {
        inputs.now_us += 10000;
        if (firmware->step(&inputs, &outputs) < 0) {
            return BH_FIRMWARE_ERROR;
        }
    }
    return BH_OK;
}
