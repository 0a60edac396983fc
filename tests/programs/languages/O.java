public class O {
    public static void main(String[] a) throws Exception {
        if (a.length > 0) {
            Thread.sleep(20000);
        }
        var l = new java.util.ArrayList<long[]>();
        for (;;) l.add(new long[100000]);
    }
}
