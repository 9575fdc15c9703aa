/* The parts of the shim and the one context they share. Each part's duties stand at the top of its file. */
#ifndef TCOMPOSE_SHIM_H
#define TCOMPOSE_SHIM_H

#include <limits.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>
#include <sys/types.h>

#include "protocol.h"

struct client;
struct process;

/* Where the connection to whoever launches us comes in. */
#define LAUNCHER 3

/* ---- spawner.c ---- */
int spawner_main(void);

/* ---- loop.c: one event at a time, so that a handler may free anything but what it is called for ---- */
struct source {
  int fd;
  uint32_t events;
  void (*ready)(struct source *source, uint32_t events);
};
struct timer {
  uint64_t at_ms; /* 0: off */
  void (*due)(struct timer *timer);
  struct timer *next;
};
bool source_open(struct source *source, int fd, uint32_t events, void (*ready)(struct source *, uint32_t));
void source_set(struct source *source, uint32_t events);
void source_close(struct source *source);
void timer_set(struct timer *timer, unsigned delay_ms, void (*due)(struct timer *));
void timer_stop(struct timer *timer);
uint64_t now_ms(void);
bool loop_open(void);
noreturn void loop_run(void);
#define container_of(pointer, type, member) ((type *)(void *)((char *)(pointer) - offsetof(type, member)))

/* ---- text.c ---- */
/* Reads NUL-terminated strings out of a payload; NULL at its end. The payload must end with NUL. */
struct strings {
  char *at;
  char *end;
};
struct strings strings_of(uint8_t *payload, size_t length);
char *strings_next(struct strings *strings);
void *need(void *memory); /* for allocations: ends the shim when there is none */
char *copy(const char *text);
char *format(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool parse_number(const char *text, uint64_t *value);
bool write_whole(int fd, const void *data, size_t length);
bool read_file(int directory, const char *path, char *text, size_t size); /* text as string, cut at size */
bool write_file(const char *path, const char *text);
uint64_t process_start(pid_t pid); /* field 22 of its stat, 0 when there is none */
void put_u32(uint8_t *at, uint32_t value);
uint32_t get_u32(const uint8_t *at);

/* ---- client.c ---- */
struct queue {
  uint8_t *data;
  size_t start, end, size;
};
size_t queue_length(const struct queue *queue);
void queue_add(struct queue *queue, const void *data, size_t length);
void queue_drop(struct queue *queue, size_t length);
struct client {
  struct source source;
  struct queue in, out;
  struct timer stuck;
  size_t stuck_length;
  bool launching, attached, hold, writes_stdin, closing, lingering;
  struct process *exec; /* the one this connection is for */
  struct client *next;
};
struct client *client_new(int fd);
void client_close(struct client *client);
void client_finish(struct client *client);
void send_frame(struct client *client, uint8_t type, uint8_t stream, const void *payload, size_t length);
void send_failure(struct client *client, const char *kind, int exit_code, const char *message);
void broadcast(uint8_t type, uint8_t stream, const void *payload, size_t length);
bool listen_clients(void);
void handle_frame(struct client *client, uint8_t type, uint8_t stream, uint8_t *payload, size_t length);

/* ---- request.c ---- */
struct list {
  char **items;
  size_t length;
};
void list_add(struct list *list, char *item);
struct mount_request {
  char *path, *type, *device, *options; /* type `layers`: `lowers` */
  struct list lowers;
  struct mount_request *next;
};
struct request {
  char *id, *runc, *runc_root, *cgroup, *rootfs, *upper, *work;
  struct list lowers, sysctls, ports;
  struct mount_request *mounts;
  bool own_network, tty, open_stdin, dns;
  bool seccomp, runc_exec; /* the container is to have a filter; its execs are for runc in any case */
  uint64_t seccomp_flags;
  char *log_path, *log_attrs;
  uint64_t log_size, log_files;
  bool log_compress;
};
const char *parse_request(struct request *request, uint8_t *payload, size_t length); /* error or NULL */

/* ---- mounts.c, ports.c, net.c, nft.c, dns.c: give an error text, or NULL ---- */
char *mount_of_process(const char *pid, const char *path, const char *target);
char *make_mounts(const struct request *request);
void remove_mounts(void);
char *bind_ports(const struct list *ports);
void serve_ports(void);
void close_ports(void);
char *lift_loopback(void);
char *write_sysctls(const struct list *sysctls);
char *configure_interfaces(struct strings *interfaces);
bool redirect_dns(uint16_t udp_port, uint16_t tcp_port);
char *open_dns(void);
void dns_resolver(struct client *client);
void dns_answer(struct client *client, const uint8_t *payload, size_t length);
void dns_client_gone(const struct client *client);

/* ---- log.c ---- */
struct line {
  uint8_t *data; /* a line that is not complete yet */
  size_t length;
  char time[40];
  bool partial; /* the line has begun in an earlier record */
};
bool log_open(const struct request *request);
void log_write(struct line *line, int stream, const uint8_t *data, size_t length);
void log_flush(struct line *line, int stream); /* what is left without a newline */
void log_commit(void);
void log_close(void);
bool log_reaped(pid_t pid); /* whether it was the compressor */

/* ---- process.c: the container's first process and every exec ---- */
struct process {
  pid_t pid;
  bool tty, expects_stdin, close_stdin, ended, done;
  uint16_t rows, columns;
  int status;
  struct source in, out, err; /* our ends; a tty has in and out */
  struct queue stdin_queue;
  struct line lines[2];
  struct timer drain;
  struct client *owner; /* of an exec; NULL when it has let go */
  struct process *next;
  /* Of an exec that is being started, see exec.c. */
  struct source sync;
  pid_t helper;
  bool by_runc;
  unsigned number;
};
struct stdio {
  int in, out, err; /* the process's ends */
};
bool process_pipes(struct process *process, struct stdio *stdio, bool with_stdin);
void process_terminal(struct process *process, int master);
void process_begin(struct process *process);
void process_ended(struct process *process, int status);
void process_stdin(struct process *process, const uint8_t *data, size_t length);
void process_close_stdin(struct process *process);
void process_resize(struct process *process, uint16_t rows, uint16_t columns);
void process_resume(struct process *process); /* a client has caught up */
bool stdin_is_full(const struct process *process);
int exit_code_of(int status);
void claim_exit(struct process *process); /* its pid has become known: it may have ended already */

/* ---- container.c ---- */
char *run_container(struct strings *interfaces);
void container_done(void); /* ended and drained */
void reap(void);
bool receive_terminal(int socket, int *master);
void child_reset(void); /* after fork: signals as a program expects them */

/* ---- cgroup.c ---- */
void cgroups_find(void);
bool cgroups_join(void); /* the calling process */
void cgroups_kill(void);
void cgroups_remove(void);
bool cgroups_oom_killed(void);
void cgroups_tell_oom(void); /* unless it has been told */
void cgroups_watch_oom(void);

/* ---- exec.c, exec-child.c, seccomp.c ---- */
struct exec_request {
  struct list args, env, gids;
  struct {
    int resource;
    uint64_t soft, hard;
  } rlimits[16];
  size_t rlimit_count;
  char *cwd, *apparmor, *oom_score, *json;
  uint32_t uid, gid;
  int32_t umask;
  uint64_t bounding, effective, permitted, inheritable, ambient;
  bool no_new_privileges, tty, with_stdin, by_runc;
  uint16_t rows, columns;
};
void start_exec(struct client *client, uint8_t *payload, size_t length);
const char *parse_exec(struct exec_request *request, uint8_t *payload, size_t length);
void exec_look(struct process *process); /* what its helper has said so far */
void exec_started(struct process *process);
void exec_failed(struct process *process, int exit_code, const char *message);
noreturn void exec_child(const struct exec_request *request, const struct stdio *stdio, int sync);
void exec_by_runc(struct process *process, const struct exec_request *request, const struct stdio *stdio);
void runc_exec_ended(struct process *process, int status);
/* Messages of an exec's helper: a letter and, for FAULT, the exit code before the text. */
#define HELPER_PID 'p'
#define HELPER_TERMINAL 't'
#define HELPER_FAULT 'e'

/* The filters of the container's first process, latest first; false while they are not known. */
struct filter {
  struct sock_fprog program;
  unsigned flags;
};
void seccomp_find(void);
void seccomp_stopped(int status); /* the container's first process, which seccomp_find asked to */
bool seccomp_known(void);
extern struct filter filters[8];
extern size_t filter_count;

struct shim {
  struct request request;
  char bundle[PATH_MAX];
  struct source signals, listener, console;
  struct client *clients, *launcher;
  struct process container;
  struct process *execs;
  pid_t runc;
  int init_pidfd;
  bool started, finished;
  /* Exits of children whose pid nobody knows yet, while someone is being started. */
  struct {
    pid_t pid;
    int status;
  } unclaimed[128];
  size_t unclaimed_count;
};
extern struct shim shim;

#endif
