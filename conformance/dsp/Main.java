// SPDX-License-Identifier: Apache-2.0
import java.io.FileReader;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.regex.Pattern;

import org.eclipse.dataspacetck.core.system.ConsoleMonitor;
import org.eclipse.dataspacetck.dsp.system.DspSystemLauncher;
import org.eclipse.dataspacetck.runtime.TckRuntime;

/**
 * Starts the public kit: {@code Main PROPERTIES [TEST-ID...]}.
 *
 * <p>The kit has no main that a registry serves. All of its tests must pass (or all that are named);
 * the last line says the counts, and any other outcome is exit status 1.
 */
public final class Main {
    private static final String TESTS = "org.eclipse.dataspacetck.dsp.verification";
    private static final int ALL = 65; // 67, of which the kit itself disables two
    private static final Pattern TEST_ID = Pattern.compile("[A-Z_]+:\\d\\d-\\d\\d");

    public static void main(String[] args) throws Exception {
        var properties = new Properties();
        try (var reader = new FileReader(args[0])) {
            properties.load(reader);
        }
        Map<String, String> settings = new HashMap<>();
        properties.forEach((key, value) -> settings.put(key.toString(), value.toString()));
        List<String> wanted = Arrays.asList(args).subList(1, args.length);

        var kit = TckRuntime.Builder.newInstance()
                .properties(settings)
                .addPackage(TESTS)
                .launcher(DspSystemLauncher.class)
                .monitor(new ConsoleMonitor(Boolean.getBoolean("debug"), false));
        if (!wanted.isEmpty()) {
            // Containers are asked for too (`MET_01: …`); without them nothing below is found.
            kit.displayNameMatching(name -> {
                var id = TEST_ID.matcher(name);
                return !id.find() || wanted.contains(id.group());
            });
        }
        var summary = kit.build().execute();
        summary.getFailures().forEach(failure ->
                System.out.println(failure.getTestIdentifier().getDisplayName() + ": " + failure.getException()));
        long passed = summary.getTestsSucceededCount();
        long failed = summary.getTotalFailureCount() + summary.getTestsAbortedCount();
        int expected = wanted.isEmpty() ? ALL : wanted.size();
        System.out.println(passed + " passed, " + failed + " failed");
        System.exit(passed == expected && failed == 0 ? 0 : 1);
    }

    private Main() {
    }
}
