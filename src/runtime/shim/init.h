#ifndef TCOMPOSE_INIT_H
#define TCOMPOSE_INIT_H

/* Pid 1 of a container with `init: true`; argv is `docker-init -- COMMAND…`. Returns the exit code. */
int init_main(int argc, char **argv);

#endif
