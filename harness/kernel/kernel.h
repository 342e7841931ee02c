/* SPDX-License-Identifier: Apache-2.0
 *
 * kernel.h - the simulation kernel: plant, faults, virtual CAN bus and firmware in lock-step, no Python inside.
 * Python fills the configuration, plans events and faults before a run, and reads the trace buffers afterwards.
 * Units are in the names; positive current discharges the pack; cells and sensors count from 0 in here and from 1
 * everywhere a person sees them. Everything the kernel writes lies in one arena, so that a checkpoint is a copy.
 */
#ifndef BH_KERNEL_H
#define BH_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include "fil.h"

#include "bus_types.h"
#include "fault_types.h"
#include "outside_types.h"
#include "soak_types.h"
#include "trace_types.h"

enum { BH_ABI_VERSION = 1, BH_FOREVER_S = 1000000000 };

/* ---- plant ------------------------------------------------------------------------------------------------ */

/* One cell type. Tables are over the state of charge (0..1, rising) and the temperature (degC, rising). */
typedef struct bh_cell_model {
    int32_t n_soc;
    int32_t n_temp;
    const double *soc;              /* [n_soc] */
    const double *ocv_v;            /* [n_soc] mean of the charge and the discharge branch */
    const double *hysteresis_v;     /* [n_soc] half the distance between the branches */
    const double *entropy_v_per_k;  /* [n_soc] dOCV/dT */
    const double *temp_degc;        /* [n_temp] */
    const double *r0_discharge_ohm; /* [n_temp][n_soc] */
    const double *r0_charge_ohm;    /* [n_temp][n_soc] */
    double hysteresis_soc;          /* change of SOC over which 63 % of a branch change happens */
    double r1_ratio;                /* R1 = r1_ratio * R0 */
    double tau1_s;
    double r2_ratio;
    double tau2_s;
    double reference_temp_degc; /* temperature of the OCV table */
} bh_cell_model;

/* One pack: n_cells in series. Per-cell arrays carry the seeded spread. */
typedef struct bh_pack_config {
    int32_t n_cells; /* 12..400 */
    int32_t n_temps;
    const int32_t *temp_cell;      /* [n_temps] the cell each sensor sits on */
    const double *capacity_ah;     /* [n_cells] */
    const double *soc;             /* [n_cells] at the start */
    const double *r_scale;         /* [n_cells] */
    const double *temp_degc;       /* [n_cells] at the start */
    double heat_capacity_j_per_k;  /* of one cell */
    double cooling_w_per_k;        /* one cell to the coolant, pump running */
    double ambient_w_per_k;        /* one cell to the ambient air */
    double neighbour_w_per_k;      /* one cell to the next */
    double coolant_degc;
    double ambient_degc;
    double joint_ohm;              /* one bus-bar joint; n_cells + 1 of them carry the pack current */
    double balancing_ohm;          /* bleed resistor of one cell */
    double self_discharge_ohm;     /* of one healthy cell */
    double link_capacitance_f;
    double link_bleed_ohm;
    double precharge_ohm;
    double contactor_close_s;
    double contactor_open_s;
    double fuse_rated_a;
    double fuse_i2t_a2s;           /* above the rating; 0 = no fuse */
    double insulation_positive_ohm;
    double insulation_negative_ohm;
    double supply_v;               /* of the controller */
    double supply_min_v;           /* below: the controller is off; above again: it boots */
} bh_pack_config;

/* What the vehicle and the depot charger do. */
typedef struct bh_environment_config {
    int32_t n_load;
    const double *load_s;    /* [n_load] rising; the profile repeats after the last point */
    const double *load_w;    /* [n_load] power asked of the link, negative = regeneration */
    const double *line_v;    /* [n_load] voltage of the overhead line, 0 = off the wire; NULL = there is no line */
    const double *line_w;    /* [n_load] power taken from the line while its voltage is in the window */
    double line_min_v;       /* the window; outside it nothing is taken from the line */
    double line_max_v;
    double float_v;          /* the feed holds the link at this voltage, with less power; 0 = it gives line_w always */
    double load_min_link_v;  /* the inverter stops below this */
    double auxiliary_w;      /* drawn whenever the main contactors are closed */
    double limit_lag_s;      /* time constant with which vehicle and charger follow the BMS limits */
    double limit_timeout_s;  /* age of the limit message after which they go to zero; 0 = never */
    double charger_max_a;
    double charger_max_v;
    double charger_slope_a_per_s;
    int32_t charger_protocol; /* BH_PROTOCOL_* */
    double charger_min_v;     /* what it offers in CML */
} bh_environment_config;

/* ---- events: what the scenario does besides faults --------------------------------------------------------- */

enum {
    BH_EVENT_PAYLOAD = 0,   /* payload of rest-bus message index */
    BH_EVENT_MESSAGE,       /* rest-bus message index on (1) or off (0) */
    BH_EVENT_IGNITION,      /* 0 or 1 */
    BH_EVENT_PLUG,          /* charge plug 0 or 1 */
    BH_EVENT_POWER,         /* controller supply 0 or 1: off and on is a power cycle */
    BH_EVENT_LOAD_SCALE,    /* factor on the load profile; 0 = standstill */
    BH_EVENT_LOAD_TIME_S,   /* put the load profile to this time */
    BH_EVENT_SOC,           /* state of charge of all cells, spread kept */
    BH_EVENT_NVM,           /* at the next power-on: XOR byte index of the NVM image with value; index -1 = erase it */
    BH_EVENT_TESTER,        /* the diagnostic tester sends index bytes of the payload: a request; value 1: a bare frame;
                               value 2: the flow control it sends from now on: block size, least gap, waits */
    BH_EVENT_TEMP_DEGC      /* temperature of all cells, spread kept */
};

typedef struct bh_event {
    uint64_t t_ns;
    int32_t kind;
    int32_t index;
    double value;
    uint8_t payload[64];
} bh_event;

/* ---- simulation ------------------------------------------------------------------------------------------- */

typedef struct bh_firmware {
    uint32_t (*abi_version)(void);
    int (*init)(const fil_config *config);
    int (*step)(const fil_inputs *inputs, fil_outputs *outputs);
    int (*can_rx)(const fil_frame *frame);
    int (*can_tx)(fil_frame *frames, int max);
    int (*nvm)(int op, uint8_t *buffer, uint32_t size);
    const char *(*last_error)(void);
    uint32_t (*idle)(void); /* optional, with pass; NULL: not there */
    int (*pass)(uint32_t ms);
    const void *address; /* of any object inside the library: finds its segments */
    /* Writable memory as it was right after loading: put back before every power-on, so that a power cycle and a second
     * simulation start from it. NULL: this build or platform cannot be copied; bh_state_size is 0, boot afresh. */
    const uint8_t *pristine;
} bh_firmware;

typedef struct bh_config {
    uint64_t seed;
    uint32_t tick_us;
    uint32_t start_tick_ms;
    uint16_t variant;
    uint16_t n_parameters;
    const fil_parameter *parameters;
    bh_cell_model cell;
    bh_pack_config pack;
    bh_environment_config environment;
    bh_bus_config bus;
    int32_t n_messages;
    const bh_message *messages;
    int32_t n_sent_fields;
    const bh_field *sent_fields;
    int32_t n_received_fields;
    const bh_field *received_fields;
    bh_tester_config tester;
    int32_t max_events; /* room to reserve */
    int32_t max_faults;
    bh_firmware firmware;
} bh_config;

enum {
    BH_OK = 0,
    BH_FULL = -1,           /* a trace buffer is full; nothing was lost before */
    BH_FIRMWARE_ERROR = -2, /* fil_* returned < 0; text in bh_error() */
    BH_FIRMWARE_HANG = -3,  /* fil_* did not return within the CPU time allowed */
    BH_FIRMWARE_CRASH = -4, /* signal inside fil_* */
    BH_BAD_CONFIG = -5
};

typedef struct bh_sim bh_sim;

uint32_t bh_abi_version(void);

/* Bytes of arena a configuration needs; 0 = refused, text in bh_config_error(). */
size_t bh_arena_size(const bh_config *config);
const char *bh_config_error(void);
/* Of the last bh_arena_size or bh_create of this thread that refused: BH_BAD_CONFIG, or BH_FIRMWARE_* when it was the
 * firmware (ABI, fil_init, crash, hang), and the place in it as in bh_error_address. */
int bh_config_result(void);
uint64_t bh_config_address(void);

/* Build the simulation inside the arena (64-byte aligned, bh_arena_size bytes) and power the firmware on. */
bh_sim *bh_create(void *arena, size_t size, const bh_config *config);

/* Replace all events and faults from now on. Events must be sorted by time and lie in the future or now. */
int bh_plan(bh_sim *sim, const bh_event *events, int32_t n_events, const bh_fault *faults, int32_t n_faults);

/* The same while a person adds and ends faults: faults that stay in the plan, with every field as it was, go on as if
 * nothing had happened (what they hold, since when they act, their reports). Faults on frames begin anew all the same. */
int bh_replan(bh_sim *sim, const bh_event *events, int32_t n_events, const bh_fault *faults, int32_t n_faults);

/* Advance to until_ns (a multiple of the tick), recording. Returns BH_*. */
int bh_run(bh_sim *sim, uint64_t until_ns, bh_trace *trace);

/* A long run: as bh_run into an empty trace, but where nothing happens time passes at once (soak.c). Returns when
 * soak->left_ns has passed, or the trace has enough rows or no room; BH_*. Times of the simulation, of reports and of the
 * trace leave the strides out; soak->strides has them. */
int bh_soak_run(bh_sim *sim, bh_soak *soak, bh_trace *trace);

/* ---- groups: strings in parallel, one link and one bus (group.c) ---- */

enum { BH_MAX_STRINGS = 8 };

/* Put simulations of equal tick, time and number of buses together, once, before the first run. Returns BH_*; the text of
 * a refusal is with the first. */
int bh_group_join(bh_sim *const *members, int32_t n);

/* As bh_run, for all members of a group at once, each with a trace of its own. When it does not return BH_OK, *culprit is
 * the member whose text says why, and after BH_FIRMWARE_* none goes on before its checkpoint is loaded. */
int bh_group_run(bh_sim *const *members, int32_t n, uint64_t until_ns, bh_trace *const *traces, int32_t *culprit);

uint64_t bh_now_ns(const bh_sim *sim);
const bh_fault_report *bh_fault_reports(const bh_sim *sim);

/* Text of the last error of this simulation; for hangs and crashes the address is in bh_fault_address(). */
const char *bh_error(const bh_sim *sim);
uint64_t bh_error_address(const bh_sim *sim); /* program counter relative to the load address; 0 = none */

/* Queue one frame from a tester node at the present time (manual sending). */
int bh_send(bh_sim *sim, int32_t node, const fil_frame *frame);

/* Inputs from outside and frames for a real bus: to be read and written between two runs (outside_types.h). */
bh_outside *bh_outside_of(bh_sim *sim);
bh_outlet *bh_outlet_of(bh_sim *sim);
/* What the controller was given in the last tick; its arrays stay where they are. Valid before the first tick, too. */
const fil_inputs *bh_inputs_of(const bh_sim *sim);
int bh_is_powered(const bh_sim *sim); /* whether the controller runs */

/* How a node stands on a bus. Returns 0, or -1 when there is no such bus or node. */
int bh_node_status_of(const bh_sim *sim, int32_t bus, int32_t node, bh_node_status *status);
/* 0..1 over the last 100 ms, error frames included; < 0 when there is no such bus. */
double bh_bus_load_of(const bh_sim *sim, int32_t bus);

/* Frames that never got through: the firmware's receive queue or a bus's waiting room was full. */
uint64_t bh_frames_lost(const bh_sim *sim);

/* Bits of a frame on the wire, from start of frame to the last bit of end of frame, stuff bits counted over the real
 * content: at the nominal bit rate (returned) and at the data bit rate (CAN FD with bit-rate switch). */
uint32_t bh_frame_bits(const fil_frame *frame, uint32_t *data_bits);

/* ---- firmware memory before there is a simulation (loader) ------------------------------------------------- */

/* Bytes of writable memory of the library that contains address; 0 = cannot be told here. */
size_t bh_firmware_size(const void *address);
/* Copy it out, and back. Both return 0, or < 0 when size is too small. */
int bh_firmware_save(const void *address, uint8_t *buffer, size_t size);
int bh_firmware_load(const void *address, const uint8_t *buffer, size_t size);

/* ---- checkpoints: firmware segments and kernel arena -------------------------------------------------------- */

/* Bytes of writable firmware memory; 0 = this platform has no way to tell, use a fresh boot instead. */
size_t bh_state_size(const bh_sim *sim);
/* Copy arena and firmware memory out, and back. Both return 0 or < 0. */
int bh_save_state(const bh_sim *sim, uint8_t *buffer, size_t size);
int bh_load_state(bh_sim *sim, const uint8_t *buffer, size_t size);

/* ---- decoding recorded frames in batch (Python's canbus package) -------------------------------------------- */

enum { BH_SIGNAL_BIG_ENDIAN = 1, BH_SIGNAL_SIGNED = 2, BH_SIGNAL_FLOAT = 4 };

/* One signal: value = raw * scale + offset. first_bit counts along the wire for its byte order: from the lowest bit of
 * byte 0 (little endian) or from the highest (big endian). length 1..64; floats 32 or 64. */
typedef struct bh_signal {
    int32_t first_bit;
    int32_t length;
    int32_t kind; /* BH_SIGNAL_* */
    int32_t reserved;
    double scale;
    double offset;
} bh_signal;

/* A multiplexer: the signal (index into the plan) and its known raw values, rising, each with the node it selects. */
typedef struct bh_selector {
    int32_t signal;
    int32_t first_value;
    int32_t n_values;
} bh_selector;

/* Signals that are in the frame together, and the multiplexers among them. */
typedef struct bh_node {
    int32_t first_signal;
    int32_t n_signals;
    int32_t first_selector;
    int32_t n_selectors;
} bh_node;

enum { BH_N_STANDARD_IDS = 2048 };

/* Of one database. Node i < n_messages is the root of message i; a node comes after the one that selects it. */
typedef struct bh_decode_plan {
    int32_t n_messages;
    int32_t n_nodes;
    int32_t n_extended;
    const uint16_t *standard;         /* [BH_N_STANDARD_IDS] message; n_messages = unknown */
    const uint32_t *extended_id;      /* [n_extended] rising */
    const uint16_t *extended_message; /* [n_extended] */
    const uint16_t *message_length;   /* [n_messages] bytes a frame must have at least */
    const uint8_t *dut_only;          /* [n_messages] 1: frames of another known node are left out */
    const bh_node *nodes;             /* [n_nodes] */
    const bh_selector *selectors;
    const int64_t *values;     /* of the selectors */
    const int32_t *value_node; /* the node each value selects */
    const bh_signal *signals;
} bh_decode_plan;

typedef struct bh_decode_frames {
    int64_t n;
    int32_t width;         /* bytes kept of a frame, a multiple of 8 */
    const uint32_t *id;    /* the arrays of bh_trace */
    const uint8_t *flags;
    const uint8_t *node;   /* 255 = not known */
    const uint8_t *length;
    const uint8_t *data;
} bh_decode_frames;

enum {
    BH_COUNT_DECODED = 0,
    BH_COUNT_UNKNOWN_ID,
    BH_COUNT_WRONG_LENGTH,
    BH_COUNT_REMOTE,
    BH_COUNT_ERROR,
    BH_COUNT_OTHER_NODE,
    BH_COUNT_UNDECODABLE, /* decoded frames with a multiplexer at a value that selects nothing */
    BH_N_COUNTS
};

typedef struct bh_decode_result {
    int32_t *node_start; /* [n_nodes] frames of a node: rows[start] .. rows[start + count - 1], in their order */
    int32_t *node_count; /* [n_nodes] */
    int64_t *value_start; /* [n_nodes] values of a node: [signal][frame] */
    int32_t *rows;        /* [max_rows] */
    int64_t max_rows;
    uint16_t *message;  /* [n] scratch */
    int32_t *child;     /* [n] scratch */
    uint64_t *words;    /* [2 * n] scratch */
    int64_t counts[BH_N_COUNTS];
} bh_decode_result;

/* Sort frames into nodes. Returns how many values they hold, or < 0 when rows is too short. */
int64_t bh_decode_sort(const bh_decode_plan *plan, const bh_decode_frames *frames, bh_decode_result *result);
/* Decode everything sorted into values. */
void bh_decode_values(
    const bh_decode_plan *plan, const bh_decode_frames *frames, const bh_decode_result *result, double *values);
/* A CRC-8 at byte position over the first length bytes without it; table has the CRC of every byte. */
typedef struct bh_crc8 {
    const uint8_t *table; /* [256] */
    int32_t position;
    int32_t length;
    uint8_t initial; /* with the data ID already fed in */
    uint8_t final_xor;
} bh_crc8;

/* Whether the CRC of each payload rows[i] fits. */
void bh_decode_crc8(const bh_decode_frames *frames, const int32_t *rows, int32_t n, const bh_crc8 *crc, uint8_t *fits);

/* An alive counter inside the first eight bytes: little endian, 0 to max, then 0 again. */
typedef struct bh_counter {
    int32_t start_bit;
    int32_t length;
    int32_t max;
} bh_counter;

/* Whether all frames rows[] of a message of `length` bytes have none of the flags, that length, a CRC that fits (NULL:
 * none) and a counter (NULL: none) one above that of the frame before. */
int bh_decode_unbroken(const bh_decode_frames *frames, const int32_t *rows, int32_t n, int32_t length, uint8_t flags,
                       const bh_crc8 *crc, const bh_counter *counter);
/* Least and greatest value of every signal of some nodes, at the signal's place in the plan; both NAN where there is no
 * value or a NAN. node_count and value_start are those of the result that values belong to. */
void bh_decode_extremes(const bh_decode_plan *plan, const int32_t *node_count, const int64_t *value_start,
                        const double *values, const int32_t *nodes, int32_t n_nodes, double *least, double *greatest);

#endif
