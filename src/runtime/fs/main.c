#include "fs.h"

#include <sys/ioctl.h>
#include <sys/resource.h>

static const uint64_t DEFAULT_MAX_BYTES = 64ULL << 30, DEFAULT_MAX_ENTRIES = 10000000;

struct flag { const char *name; bool *set; };
struct text { const char *name; const char **set; };
struct number { const char *name; uint64_t *set; bool *given; };

static void parse_owner(struct options *options, const char *text) {
    char *end;
    unsigned long uid = strtoul(text, &end, 10);
    if (*end != ':' || end == text) fail(EXIT_USAGE, "--owner wants UID:GID, not %s", text);
    options->uid = (uid_t)uid;
    options->gid = (gid_t)parse_number(end + 1, "--owner");
    options->has_owner = true;
}

static enum mode parse_mode(const char *text) {
    if (strcmp(text, "plain") == 0) return MODE_PLAIN;
    if (strcmp(text, "layer") == 0) return MODE_LAYER;
    if (strcmp(text, "merged") == 0) return MODE_MERGED;
    fail(EXIT_USAGE, "no such mode: %s", text);
}

static void add(const char **list, size_t *count, const char *value, const char *what) {
    if (*count >= MAX_LIST) fail(EXIT_USAGE, "too many %s", what);
    list[(*count)++] = value;
}

static void parse_options(struct options *options, int count, char **list) {
    uint64_t offset = 0, max_mtime = 0;
    bool has_offset = false;
    const struct flag flags[] = {
        {"--make-directory", &options->make_directory}, {"--keep-kinds", &options->keep_kinds},
        {"--follow", &options->follow}, {"--digest-only", &options->digest_only},
        {"--recursive", &options->recursive}, {"--if-empty", &options->if_empty},
        {"--no-root-attributes", &options->no_root_attributes},
    };
    const struct text texts[] = {
        {"--root", &options->root}, {"--pid", &options->pid}, {"--pid-start", &options->pid_start},
        {"--upper", &options->upper}, {"--work", &options->work}, {"--skeleton", &options->skeleton},
        {"--name", &options->name}, {"--to", &options->to}, {"--to-path", &options->to_path},
        {"--against", &options->against},
    };
    const struct number numbers[] = {
        {"--offset", &offset, &has_offset}, {"--length", &options->length, &options->has_slice},
        {"--max-bytes", &options->max_bytes, NULL}, {"--max-entries", &options->max_entries, NULL},
        {"--max-mtime", &max_mtime, &options->has_max_mtime},
    };
    for (int i = 1; i < count; i++) {
        const char *word = list[i];
        if (strncmp(word, "--", 2) != 0) {
            add(options->arguments, &options->argument_count, word, "arguments");
            continue;
        }
        bool known = false;
        for (size_t f = 0; f < sizeof flags / sizeof *flags && !known; f++)
            if ((known = strcmp(word, flags[f].name) == 0)) *flags[f].set = true;
        if (known) continue;
        if (++i >= count) fail(EXIT_USAGE, "%s wants a value", word);
        const char *value = list[i];
        for (size_t t = 0; t < sizeof texts / sizeof *texts && !known; t++)
            if ((known = strcmp(word, texts[t].name) == 0)) *texts[t].set = value;
        for (size_t n = 0; n < sizeof numbers / sizeof *numbers && !known; n++)
            if ((known = strcmp(word, numbers[n].name) == 0)) {
                *numbers[n].set = parse_number(value, word);
                if (numbers[n].given) *numbers[n].given = true;
            }
        if (known) continue;
        if (strcmp(word, "--mode") == 0) options->mode = parse_mode(value);
        else if (strcmp(word, "--owner") == 0) parse_owner(options, value);
        else if (strcmp(word, "--lower") == 0) add(options->lowers, &options->lower_count, value, "layers");
        else if (strcmp(word, "--exclude") == 0) add(options->exclude, &options->exclude_count, value, "exclusions");
        else if (strcmp(word, "--bind") == 0 || strcmp(word, "--bind-ro") == 0) {
            if (++i >= count) fail(EXIT_USAGE, "%s wants a source and a target", word);
            if (options->bind_count >= MAX_LIST) fail(EXIT_USAGE, "too many binds");
            options->binds[options->bind_count++] = (struct bind){value, list[i], word[6] == '-'};
        } else fail(EXIT_USAGE, "no such option: %s", word);
    }
    options->offset = (off_t)offset;
    options->max_mtime = (int64_t)max_mtime;
}

static int open_directory(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) fail_errno(path);
    return fd;
}

/* Directories of the host, each removed by its name in its parent, so that a link in its place is only unlinked. */
static void remove_directories(const struct options *options) {
    for (size_t i = 1; i < options->argument_count; i++) {
        const char *path = options->arguments[i], *base;
        char *above = parent_of(path, &base);
        if (!*base || *path != '/') fail(EXIT_USAGE, "an absolute path is wanted, not %s", path);
        int parent = open(*above ? above : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        free(above);
        if (parent < 0) {
            if (errno == ENOENT) continue;
            fail_errno(path);
        }
        remove_tree(parent, base, path);
        close(parent);
    }
}

static void remove_inside(int root, const char *path) {
    const char *base;
    char *resolved = resolve_text(root, path, false), *clean = clean_path(resolved), *above = parent_of(clean, &base);
    struct stat st;
    if (!*base) fail(EXIT_CONFLICT, "the root cannot be removed");
    int parent = open_in(root, above, O_RDONLY | O_DIRECTORY, 0);
    if (parent < 0 || fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) < 0) fail_errno(path);
    remove_tree(parent, base, path);
}

/* Everything of the file system that holds a directory goes to the disk; then the markers that say "not yet" go. */
static void sync_and_unmark(const struct options *options) {
    if (options->argument_count < 2) fail(EXIT_USAGE, "a directory is wanted");
    int fd = open_directory(options->arguments[1]);
    if (syncfs(fd) < 0) fail_errno(options->arguments[1]);
    for (size_t i = 2; i < options->argument_count; i++) unlink(options->arguments[i]);
}

/* linux/fs.h, which musl-gcc does not see. */
#define GET_FLAGS _IOR('f', 1, long)
#define SET_FLAGS _IOW('f', 2, long)
enum { TOP_DIRECTORY = 0x00020000 };

/*
 * Asks the file system to lay the subdirectories of a directory far from each other, as ext4 does with /home: each then
 * fills a part of the disk of its own. Without it, a layer that is written where one was just removed needs up to ten
 * times as long, since ext4 looks at every inode that was freed there in the last seconds. What does not know it, ignores it.
 */
static void spread_directories(const struct options *options) {
    for (size_t i = 1; i < options->argument_count; i++) {
        int fd = open_directory(options->arguments[i]), flags = 0;
        if (ioctl(fd, GET_FLAGS, &flags) == 0 && !(flags & TOP_DIRECTORY)) {
            flags |= TOP_DIRECTORY;
            ioctl(fd, SET_FLAGS, &flags);
        }
        close(fd);
    }
}

int main(int count, char **list) {
    struct options *options = must_alloc(sizeof *options);
    struct rlimit files;
    umask(0);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    options->max_bytes = DEFAULT_MAX_BYTES;
    options->max_entries = DEFAULT_MAX_ENTRIES;
    parse_options(options, count, list);
    if (options->argument_count == 0) fail(EXIT_USAGE, "usage: tcompose-fs TARGET VERB PATH [OPTIONS]");
    const char *verb = options->arguments[0];
    if (strcmp(verb, "remove") == 0) {
        remove_directories(options);
    } else if (strcmp(verb, "sync") == 0) {
        sync_and_unmark(options);
    } else if (strcmp(verb, "spread") == 0) {
        spread_directories(options);
    } else if (strcmp(verb, "assemble") == 0) {
        if (!options->skeleton) fail(EXIT_USAGE, "--skeleton is wanted");
        verb_assemble(options);
    } else {
        if (options->argument_count < 2) fail(EXIT_USAGE, "a path is wanted");
        /* From here on the first argument is the path. */
        memmove(options->arguments, options->arguments + 1, --options->argument_count * sizeof *options->arguments);
        /* What lies outside the target is opened before the way back is closed. */
        int destination = options->to ? open_directory(options->to) : -1;
        int upper = options->against ? open_directory(options->against) : -1;
        if (strcmp(verb, "unpack") == 0) {
            verb_unpack(options);
        } else {
            int root = enter_target(options);
            if (strcmp(verb, "pack") == 0) verb_pack(options, root);
            else if (strcmp(verb, "stat") == 0) verb_stat(options, root);
            else if (strcmp(verb, "list") == 0) verb_list(options, root);
            else if (strcmp(verb, "cat") == 0) verb_cat(options, root);
            else if (strcmp(verb, "du") == 0) verb_usage(options, root);
            else if (strcmp(verb, "remove-in") == 0) remove_inside(root, options->arguments[0]);
            else if (strcmp(verb, "diff") == 0 && options->against) verb_diff(options, root, upper);
            else if (strcmp(verb, "copy") == 0 && options->to) verb_copy(options, root, destination);
            else fail(EXIT_USAGE, "no such verb: %s", verb);
        }
    }
    if (fflush(stdout) != 0) fail_errno("writing the result");
    return 0;
}
