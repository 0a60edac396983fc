<?php echo 'served ', $_GET['x'] ?? '', "\n";
