/* SPDX-License-Identifier: Apache-2.0
 *
 * guard.c - ends a firmware call that crashes or never returns.
 *
 * The signal handlers of the process are put in place while at least one guarded run is on and given back after the
 * last; a signal that does not come from inside a firmware call goes to whoever had it before. The watchdog is a timer
 * on the CPU time of the calling thread, armed once per run: it fires BH_STALL_PERIODS times without a new call.
 */
#define _GNU_SOURCE

#include "guard.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#if defined(__ELF__) && defined(__linux__)

#include <fenv.h>
#include <pthread.h>
#include <setjmp.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__GLIBC__)
#include <execinfo.h>
#endif

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum {
    STALL_PERIOD_NS = 250 * 1000 * 1000,
    STALL_PERIODS = 4,
    STACK_BYTES = 64 * 1024,
    MAX_FRAMES = 32
};

/* Values of bh_guard.inside beyond 0 and 1: the handler is at work, a second fault must not start it again. */
enum { IN_HANDLER = 2 };

/* Signals a broken program raises itself; the first ones belong to the address sanitizer where there is one. */
static const int crash_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
enum { N_CRASH_SIGNALS = sizeof crash_signals / sizeof crash_signals[0], N_SANITIZER_SIGNALS = 3 };

/* Present only in a process that runs under the address sanitizer. It reports bad accesses better than we can. */
extern void __asan_init(void) __attribute__((weak));

static _Thread_local bh_guard *current;

static pthread_mutex_t installing = PTHREAD_MUTEX_INITIALIZER;
static int runs; /* guarded runs of all threads */
static struct sigaction previous[N_CRASH_SIGNALS];
static struct sigaction previous_timer;

static int timer_signal(void) {
    return SIGRTMAX - 3;
}

static int first_signal(void) {
    return &__asan_init != NULL ? N_SANITIZER_SIGNALS : 0;
}

/* ---- inside the handlers: async-signal-safe calls only ------------------------------------------------------ */

static uintptr_t program_counter(const ucontext_t *context) {
#if defined(__x86_64__)
    return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)context->uc_mcontext.pc;
#else
    (void)context;
    return 0;
#endif
}

/* Where the interrupted function returns to, right if it has not set up a frame: library routines in assembler, and
 * calls through a bad pointer. */
static uintptr_t leaf_return(const ucontext_t *context) {
#if defined(__x86_64__)
    return *(const uintptr_t *)context->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
    return (uintptr_t)context->uc_mcontext.regs[30];
#else
    (void)context;
    return 0;
#endif
}

static int in_firmware(const bh_image *image, uintptr_t address) {
    return address >= image->low && address < image->high;
}

/* The place in the firmware that led here, relative to its load address; 0 = unknown. A return address is taken back
 * by one byte, into the call. */
static uint64_t place_in_firmware(const bh_image *image, const ucontext_t *context) {
    const uintptr_t counter = program_counter(context);
    if (in_firmware(image, counter)) {
        return counter - image->base;
    }
    if (in_firmware(image, leaf_return(context))) {
        return leaf_return(context) - 1 - image->base;
    }
#if defined(__GLIBC__)
    void *frames[MAX_FRAMES];
    const int n_frames = backtrace(frames, MAX_FRAMES);
    for (int i = 0; i < n_frames; i++) {
        if (in_firmware(image, (uintptr_t)frames[i])) {
            return (uintptr_t)frames[i] - 1 - image->base;
        }
    }
#endif
    return 0;
}

static _Noreturn void cut(bh_guard *guard, int result, const ucontext_t *context) {
    const int again = guard->inside == IN_HANDLER;
    guard->inside = IN_HANDLER;
    atomic_signal_fence(memory_order_seq_cst);
    if (!again) {
        guard->address = place_in_firmware(guard->image, context);
    }
    guard->inside = 0;
    siglongjmp(*(sigjmp_buf *)guard->jump, result);
}

/* Not ours: give the signal back to its former owner. A fault repeats when the handler returns. */
static void pass_on(int number, int index, const siginfo_t *info) {
    sigaction(number, &previous[index], NULL);
    if (info->si_code <= 0) { /* sent by a program, would not repeat */
        raise(number);
    }
}

static void on_crash(int number, siginfo_t *info, void *context) {
    bh_guard *guard = current;
    if (guard != NULL && guard->inside != 0) {
        if (guard->inside == 1) {
            guard->signal = number;
            guard->fault_address = number == SIGSEGV || number == SIGBUS ? (uint64_t)(uintptr_t)info->si_addr : 0;
        }
        cut(guard, BH_FIRMWARE_CRASH, context);
    }
    for (int i = 0; i < N_CRASH_SIGNALS; i++) {
        if (crash_signals[i] == number) {
            pass_on(number, i, info);
        }
    }
}

static void on_timer(int number, siginfo_t *info, void *context) {
    bh_guard *guard = current;
    (void)number;
    (void)info;
    if (guard == NULL || guard->inside != 1) {
        return;
    }
    guard->stalled = guard->seen_calls == guard->calls ? guard->stalled + 1 : 0;
    guard->seen_calls = guard->calls;
    if (guard->stalled >= STALL_PERIODS) {
        cut(guard, BH_FIRMWARE_HANG, context);
    }
}

/* ---- before and after a run ---------------------------------------------------------------------------------- */

/* glibc loads its unwinder at the first use, which a signal handler must not do. */
static void prepare_unwinder(void) {
#if defined(__GLIBC__)
    static int prepared; /* under the lock */
    if (!prepared) {
        void *frame;
        prepared = 1;
        (void)backtrace(&frame, 1);
    }
#endif
}

static void install(void) {
    struct sigaction action;
    prepare_unwinder();
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_sigaction = on_timer;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    sigaction(timer_signal(), &action, &previous_timer);
    action.sa_sigaction = on_crash;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    for (int i = first_signal(); i < N_CRASH_SIGNALS; i++) {
        sigaction(crash_signals[i], &action, &previous[i]);
    }
}

static void uninstall(void) {
    struct sigaction ignore;
    memset(&ignore, 0, sizeof ignore);
    ignore.sa_handler = SIG_IGN; /* drops a last signal still on its way; the default would end the process */
    sigaction(timer_signal(), &ignore, NULL);
    sigaction(timer_signal(), &previous_timer, NULL);
    for (int i = first_signal(); i < N_CRASH_SIGNALS; i++) {
        sigaction(crash_signals[i], &previous[i], NULL);
    }
}

static void enter(void) {
    pthread_mutex_lock(&installing);
    if (runs++ == 0) {
        install();
    }
    pthread_mutex_unlock(&installing);
}

static void leave(void) {
    pthread_mutex_lock(&installing);
    if (--runs == 0) {
        uninstall();
    }
    pthread_mutex_unlock(&installing);
}

/* Returns 0 when there is no such timer: the run then goes without a watchdog. */
static int arm(timer_t *timer) {
    struct sigevent event;
    const struct itimerspec period = {{0, STALL_PERIOD_NS}, {0, STALL_PERIOD_NS}};
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = timer_signal();
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, timer) != 0) {
        return 0;
    }
    timer_settime(*timer, 0, &period, NULL);
    return 1;
}

static void reset(bh_guard *guard, const bh_image *image, sigjmp_buf *jump) {
    guard->inside = 0;
    guard->stalled = 0;
    guard->seen_calls = guard->calls;
    guard->image = image;
    guard->jump = jump;
    guard->address = 0;
    guard->fault_address = 0;
    guard->signal = 0;
}

int bh_guard_run(bh_guard *guard, const bh_image *image, int (*body)(void *context), void *context) {
    /* On this stack, so that a firmware that runs out of stack still leaves its handlers one. */
    _Alignas(16) uint8_t handler_stack[STACK_BYTES];
    const stack_t stack = {.ss_sp = handler_stack, .ss_flags = 0, .ss_size = STACK_BYTES};
    sigjmp_buf jump;
    stack_t previous_stack;
    fenv_t floating_point;
    timer_t timer;
    volatile int result;

    reset(guard, image, &jump);
    bh_guard *const outer = current;
    current = guard;
    fegetenv(&floating_point);
    sigaltstack(&stack, &previous_stack);
    enter();
    const int armed = arm(&timer);
    result = sigsetjmp(jump, 1);
    if (result == 0) {
        result = body(context);
    } else {
        fesetenv(&floating_point); /* as the body would have on its way out */
    }
    if (armed) {
        timer_delete(timer);
    }
    leave();
    sigaltstack(&previous_stack, NULL);
    current = outer;
    return result;
}

void bh_guard_switch(bh_guard *guard, const bh_image *image) {
    guard->jump = current->jump;
    guard->image = image;
    current = guard;
}

#else /* no way to do it here: a crash ends the process, a hang must be seen from outside */

int bh_guard_run(bh_guard *guard, const bh_image *image, int (*body)(void *context), void *context) {
    guard->image = image;
    guard->address = 0;
    guard->fault_address = 0;
    guard->signal = 0;
    return body(context);
}

void bh_guard_switch(bh_guard *guard, const bh_image *image) {
    guard->image = image;
}

#endif

static const char *signal_text(int number) {
    switch (number) {
    case SIGILL: return "illegal instruction or compiler trap";
    case SIGABRT: return "abort or failed assert";
    case SIGFPE: return "integer division by zero";
    case SIGSEGV: return "bad memory access (null pointer, bad index or stack overflow)";
    default: return "bus error";
    }
}

const char *bh_guard_text(const bh_guard *guard, int result, char *buffer, size_t size) {
    if (result == BH_FIRMWARE_HANG) {
        snprintf(buffer, size, "the firmware did not return within 1 s of CPU time (endless loop)");
    } else if (result == BH_FIRMWARE_CRASH && guard->fault_address != 0) {
        snprintf(buffer, size, "%s at 0x%llx inside the firmware", signal_text(guard->signal),
                 (unsigned long long)guard->fault_address);
    } else if (result == BH_FIRMWARE_CRASH) {
        snprintf(buffer, size, "%s inside the firmware", signal_text(guard->signal));
    } else {
        snprintf(buffer, size, "no crash");
    }
    return buffer;
}
