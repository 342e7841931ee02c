/* SPDX-License-Identifier: Apache-2.0
 *
 * fil.h - the firmware port. A firmware author implements these calls in one file; the harness compiles it
 * together with the firmware for the host and steps it in virtual time. See docs/bring-your-own-firmware.md.
 *
 * Rules: no wall clock, no threads, no heap after fil_init, no call-backs. Every call runs on one thread.
 * Units are in the names. Positive current discharges the pack. Arrays are owned by the harness and are valid
 * for the duration of the call only.
 */
#ifndef FIL_H
#define FIL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { FIL_ABI_VERSION = 1 };

/* Flags of one measured value. FIL_OPEN_WIRE is the result of the front end's open-wire test. */
enum { FIL_VALID = 0x01, FIL_OPEN_WIRE = 0x02 };

/* Digital inputs, bits of fil_inputs.digital_in. Auxiliary contacts read 1 when the contactor is closed. */
enum {
    FIL_IN_IGNITION = 1 << 0,
    FIL_IN_CHARGE_PLUG = 1 << 1,
    FIL_IN_HVIL_CLOSED = 1 << 2,
    FIL_IN_CRASH = 1 << 3,
    FIL_IN_AUX_POSITIVE = 1 << 4,
    FIL_IN_AUX_NEGATIVE = 1 << 5,
    FIL_IN_AUX_PRECHARGE = 1 << 6
};

/* Contactor commands, bits of fil_outputs.contactors: 1 = close. */
enum {
    FIL_OUT_POSITIVE = 1 << 0,
    FIL_OUT_NEGATIVE = 1 << 1,
    FIL_OUT_PRECHARGE = 1 << 2
};

/* Flags of a CAN frame. */
enum {
    FIL_FRAME_EXTENDED = 1 << 0, /* 29-bit identifier */
    FIL_FRAME_FD = 1 << 1,
    FIL_FRAME_BRS = 1 << 2,
    FIL_FRAME_REMOTE = 1 << 3,
    FIL_FRAME_ERROR = 1 << 4
};

/* Error states of a CAN controller (ISO 11898-1). */
enum { FIL_CAN_ERROR_ACTIVE = 0, FIL_CAN_ERROR_PASSIVE = 1, FIL_CAN_BUS_OFF = 2 };

/* A CAN frame, classic or FD. length is the number of data bytes (0..8, FD up to 64), not the DLC code. */
typedef struct fil_frame {
    uint32_t id;
    uint8_t flags;
    uint8_t bus;
    uint8_t length;
    uint8_t reserved;
    uint8_t data[64];
} fil_frame;

/* One named parameter of the firmware's parameter block, e.g. {"cell_ov_trip_mv", 3750}. */
typedef struct fil_parameter {
    const char *name;
    int32_t value;
} fil_parameter;

/* Power-on configuration. start_tick_ms may be any 32-bit value, so that wrap-around can be tested;
 * fil_inputs.now_us still counts from 0 at power-on of the harness. */
typedef struct fil_config {
    uint32_t abi_version; /* FIL_ABI_VERSION of the caller */
    uint32_t start_tick_ms;
    uint16_t n_cells;
    uint16_t n_temps;
    uint16_t n_parameters;
    uint16_t variant; /* product variant, 0 unless the rig file says otherwise */
    const fil_parameter *parameters;
    const uint8_t *nvm; /* image of the last power cycle; NULL: factory-new */
    uint32_t nvm_size;
} fil_config;

/* What the firmware's sensors read in this step. */
typedef struct fil_inputs {
    uint64_t now_us;
    const int32_t *cell_uv;      /* [n_cells] */
    const uint8_t *cell_flags;   /* [n_cells] FIL_VALID, FIL_OPEN_WIRE */
    const uint16_t *cell_age_ms; /* [n_cells] time since the sample was taken */
    const int32_t *temp_mdegc;   /* [n_temps] */
    const uint8_t *temp_flags;   /* [n_temps] FIL_VALID */
    int32_t current_ma;          /* pack current, positive = discharge */
    int32_t pack_mv;             /* cell side of the contactors */
    int32_t link_mv;             /* vehicle side of the contactors */
    int32_t charger_mv;          /* charging inlet */
    uint32_t insulation_ohm;     /* what the insulation monitor reports */
    int32_t supply_mv;           /* the controller's own 24 V supply */
    uint32_t digital_in;         /* FIL_IN_* */
    uint8_t current_flags;       /* FIL_VALID */
    uint8_t pack_flags;          /* FIL_VALID */
    uint8_t link_flags;          /* FIL_VALID */
    uint8_t insulation_flags;    /* FIL_VALID */
    const uint8_t *can_state;    /* [n_buses] FIL_CAN_*: the error state of the CAN controller on each bus */
    uint8_t n_buses;
} fil_inputs;

/* What the firmware drives. The harness clears nothing: write every field in every step. */
typedef struct fil_outputs {
    uint32_t contactors;  /* FIL_OUT_* */
    uint32_t digital_out; /* product specific */
    uint8_t *balancing;   /* [n_cells] 1 = bleed resistor on */
    /* Bit per bus: start the recovery of a controller that is bus-off. Without it the controller stays off. It then
     * waits for 128 times 11 recessive bits (2.8 ms at 500 kbit/s on a free bus) and is error active again. While it is
     * off it receives nothing, and what fil_can_tx hands over is thrown away, as is what was waiting to be sent. A bit
     * for a controller that is not bus-off, or recovers already, does nothing. */
    uint32_t can_restart;
} fil_outputs;

enum { FIL_NVM_READ = 0, FIL_NVM_SIZE = 1 };

/* The version the firmware was compiled against; the loader refuses any other than its own. */
uint32_t fil_abi_version(void);

/* Power-on. Returns 0, or < 0 with the reason in fil_last_error() (unknown parameter, too many cells, ...). */
int fil_init(const fil_config *config);

/* Run every task due until inputs->now_us. Returns 0, or < 0 on assert or watchdog. */
int fil_step(const fil_inputs *inputs, fil_outputs *outputs);

/* A frame was received on frame->bus. Called between steps. Returns 0, or < 0 when the receive queue is full. */
int fil_can_rx(const fil_frame *frame);

/* Move up to max queued frames out, in the order they were queued. Returns how many. */
int fil_can_tx(fil_frame *frames, int max);

/* FIL_NVM_SIZE: returns the size of the image. FIL_NVM_READ: copies it out, returns the bytes written. */
int fil_nvm(int op, uint8_t *buffer, uint32_t size);

/* Text of the last assert or refusal: "file:line: reason". Never NULL. */
const char *fil_last_error(void);

/* Optional, both or none: long runs let time pass at once where nothing happens (docs/long-runs.md). fil_idle says how
 * many milliseconds from now on nothing in the firmware would do but pass, if its inputs and the frames it receives went
 * on as in the last second: nothing is pending, no timer ends, no counter wraps, nothing it sends changes. 0 = something
 * is under way, or it cannot tell. fil_pass lets whole seconds of them pass, as if every task had run with the inputs of
 * the last step; frames are neither sent nor received meanwhile, and now_us goes on behind them. Returns 0, or < 0. */
uint32_t fil_idle(void);
int fil_pass(uint32_t ms);

/* Optional: switch one seeded defect on (0 = none). Returns 0, or < 0 when there is no such defect. */
int fil_defect(int id);

#ifdef __cplusplus
}
#endif

#endif
