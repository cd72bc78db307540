// Runs a fuzz target on files, for compilers that bring no fuzzer.
//
//   fuzz_ring FILE...

#include <stdint.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);

int main(int argc, char **argv)
{
    static uint8_t bytes[1 << 16];

    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (file == NULL) {
            perror(argv[i]);
            return 2;
        }
        const size_t byte_count = fread(bytes, 1, sizeof bytes, file);
        fclose(file);
        LLVMFuzzerTestOneInput(bytes, byte_count);
    }
    printf("%d inputs\n", argc - 1);
    return 0;
}
