/* SPDX-License-Identifier: Apache-2.0
 *
 * soak_types.h - long runs: where nothing happens, time passes at once (soak.c).
 */
#ifndef BH_SOAK_TYPES_H
#define BH_SOAK_TYPES_H

#include <stdint.h>

/* A column of the trace that must lie within low..high for time to pass at once: clear of every limit. */
typedef struct bh_band {
    int32_t column;
    float low;
    float high;
} bh_band;

/* What kept time from passing at once, asked in this order once a second; counted per second. */
enum {
    BH_AWAKE_FAULT = 0, /* a fault acts that moves or bends readings or frames */
    BH_AWAKE_PLAN,      /* an event, an end of a fault or of a stretch of the load within the second */
    BH_AWAKE_ACTUATORS, /* controller off, contactors or limits under way */
    BH_AWAKE_BAND,      /* a reading near a limit */
    BH_AWAKE_CHANGE,    /* a reading moves too fast */
    BH_AWAKE_FIRMWARE,  /* the firmware says so, or cannot tell */
    BH_N_AWAKE
};

/* What is noted of every stride: columns of its last row before it. */
enum { BH_SOAK_SEEN = 6 };

typedef struct bh_stride {
    uint64_t at_ns;     /* time of the simulation, in which strides take none */
    uint32_t passed_ms; /* what passed at once */
    float seen[BH_SOAK_SEEN]; /* SOC (mean), current, highest and lowest cell voltage, highest temperature, pack voltage */
} bh_stride;

/* One call of bh_soak_run. Owned by the caller. */
typedef struct bh_soak {
    uint64_t left_ns;     /* still to go, strides included; counted down */
    uint32_t longest_ms;  /* of a stride; 0 = none */
    int32_t n_bands;
    const bh_band *bands;
    int64_t enough_rows;  /* end the call at the next quiet moment once the trace has so many rows */
    int64_t max_strides;
    int64_t n_strides;
    bh_stride *strides;   /* [max_strides] appended */
    uint64_t passed_ns;   /* sum of all strides */
    uint64_t awake_s[BH_N_AWAKE]; /* seconds without a stride, by the reason */
    int32_t quiet;        /* the call ended at a quiet moment: nothing was under way */
    uint32_t since_ticks; /* since the last stride or the begin; the kernel's own */
    float before[BH_SOAK_SEEN]; /* a second before; the kernel's own */
} bh_soak;

#endif
