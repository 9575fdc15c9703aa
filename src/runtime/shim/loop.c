/* The event loop: epoll for descriptors, a list of timers. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "shim.h"

static int epoll = -1;
static struct timer *timers;

uint64_t now_ms(void) {
  struct timespec now;
  if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) abort();
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool loop_open(void) {
  epoll = epoll_create1(EPOLL_CLOEXEC);
  return epoll >= 0;
}

/* Takes the descriptor over, also when it fails (out of watches or memory). */
bool source_open(struct source *source, int fd, uint32_t events, void (*ready)(struct source *, uint32_t)) {
  *source = (struct source){.fd = fd, .events = events, .ready = ready};
  struct epoll_event event = {.events = events, .data.ptr = source};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0) return true;
  close(fd);
  source->fd = -1;
  return false;
}

void source_set(struct source *source, uint32_t events) {
  if (source->fd < 0 || source->events == events) return;
  struct epoll_event event = {.events = events, .data.ptr = source};
  /* Hang-ups are reported even to those who wait for nothing: such a source leaves the set for the time being. */
  int operation = source->events == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
  if (epoll_ctl(epoll, operation, source->fd, &event) == 0) source->events = events;
}

void source_close(struct source *source) {
  if (source->fd < 0) return;
  /* A duplicate of the descriptor in a child would keep it in the set. */
  if (source->events != 0) (void)epoll_ctl(epoll, EPOLL_CTL_DEL, source->fd, NULL);
  close(source->fd);
  source->fd = -1;
}

void timer_set(struct timer *timer, unsigned delay_ms, void (*due)(struct timer *)) {
  bool listed = timer->at_ms != 0;
  timer->at_ms = now_ms() + delay_ms;
  timer->due = due;
  if (listed) return;
  timer->next = timers;
  timers = timer;
}

void timer_stop(struct timer *timer) {
  if (timer->at_ms == 0) return;
  for (struct timer **at = &timers; *at; at = &(*at)->next) {
    if (*at != timer) continue;
    *at = timer->next;
    break;
  }
  timer->at_ms = 0;
}

/* Runs one timer that is due, if any; milliseconds until the next, -1 for none. */
static int run_timers(void) {
  for (;;) {
    if (!timers) return -1;
    struct timer *first = timers;
    for (struct timer *timer = timers; timer; timer = timer->next) {
      if (timer->at_ms < first->at_ms) first = timer;
    }
    uint64_t now = now_ms();
    if (first->at_ms > now) return first->at_ms - now > 60000 ? 60000 : (int)(first->at_ms - now);
    timer_stop(first);
    first->due(first);
  }
}

noreturn void loop_run(void) {
  for (;;) {
    struct epoll_event event;
    int wait_ms = run_timers();
    int count = epoll_wait(epoll, &event, 1, wait_ms);
    if (count < 0 && errno != EINTR) exit(1);
    if (count <= 0) continue;
    struct source *source = event.data.ptr;
    source->ready(source, event.events);
  }
}
