/*
 * What a shim says with its clients, over Unix stream sockets: the launching one on its fd 3, all others on `sock` in its
 * bundle directory. Both ways frames of
 *
 *   [u8 type][u8 stream][u32 length, big endian][payload]
 *
 * "strings" are a sequence of NUL-terminated ones. Numbers in payloads are big endian.
 */
#ifndef TCOMPOSE_PROTOCOL_H
#define TCOMPOSE_PROTOCOL_H

#define FRAME_HEADER 6
/* Longest payload a client may send. */
#define FRAME_LIMIT (4u << 20)

/* Launching client to shim. Its end before START ends the shim, which then leaves nothing. */
#define LAUNCH 'L' /* strings, in pairs of key and value: see request.c */
#define START 'S'  /* strings: interfaces, see net.c */

/* Any client to shim. */
#define ATTACH 'A'    /* stream: 1 to hold the container back rather than to be cut off when behind */
#define STDIN 'I'     /* bytes for the container, or for the exec of this connection */
#define CLOSE_STDIN 'C'
#define RESIZE 'W'    /* u16 rows, u16 columns */
#define SIGNAL 'K'    /* stream: its number */
#define EXEC 'E'      /* strings, in pairs: see exec.c; one per connection, which is then the exec's */
#define RESOLVE 'N'   /* this client answers names from now on */
#define ANSWER 'a'    /* u32 id, DNS message; none: could not be answered */
#define CONFIGURE 'F' /* strings: interfaces; answered by DONE or FAILED */

/* Shim to client. */
#define HELLO 'H'   /* first of all on `sock`: u32 pid of the container's first process, 0 before it runs */
#define READY 'R'   /* to the launching client: everything is held, START may come */
#define STARTED 'P' /* u32 pid, then its start time as a string: of the container, or of the connection's exec */
#define OUTPUT 'O'  /* stream 1 or 2 */
#define ENDED 'X'   /* the container's exit record as in the file; the shim ends when it is delivered */
#define EXEC_ENDED 'x' /* string: `code signal`; the last of an exec's connection */
#define FAILED 'Z'  /* strings: kind (`port`, `runc`, `exec`, `state`, `system`), exit code or 0, message */
#define QUERY 'q'   /* stream: 1 over TCP; u32 id, DNS message */
#define OOM 'M'     /* the kernel has killed for want of memory in the container's cgroup */
#define DONE 'D'

#endif
